"""A reader of packs: who has the newest receipt, the trust file and, by default, the closing statement."""

from dataclasses import replace

from consent_core.evidence.opening import Circumstances
from consent_core.evidence.verdict import judge


def verdict_of(world, data, receipt="own", closing=None, **trust):
    """The verdict of a reader who has the newest receipt, the trust file and, by default, the closing statement."""
    own = world.receipts[-1] if receipt == "own" else receipt
    closing = world.closing(data) if closing is None and world.request else closing
    trusted = replace(world.trust, **trust).to_bytes()
    return judge(data, trusted, Circumstances(world.now + 60, own, closing))


def failing(verdict):
    """Code -> number of the check that says it."""
    return {found.code: result.number for result in verdict.results for found in result.findings}


def shown(verdict, number):
    return verdict.results[number].verdict


def refused(world, code, number, data=None, **how):
    """The file is refused, by this name, in this check."""
    verdict = verdict_of(world, data or world.sealed(world.pack()), **how)

    assert failing(verdict).get(code) == number
    assert (shown(verdict, number), verdict.exit_code) == ("fails", 1)


def without(world, *kinds, where=lambda body: True):
    """The pack without the records of these kinds for which `where` holds."""
    pack = world.pack()
    kept = [record for record in pack.records if not (record.body["kind"] in kinds and where(record.body))]
    assert len(kept) < len(pack.records)
    return world.sealed(replace(pack, records=tuple(kept)))
