"""Every place for an operator: who it is, when it attested last, which numbers are missing."""

import json
from typing import Any

from sqlalchemy import Connection, func, select

from consent_core.formats.attestation import MAX_ATTESTATION_BYTES, TYP, malformed
from consent_core.formats.jws import read_jws
from control_plane.attesters.listing import current
from control_plane.store.database import Database
from control_plane.store.schema import attesters, facts, forks

LATE_S = 120  # two intervals


def overview(database: Database, now: int) -> dict[str, Any]:
    """`{"list": n, "places": […], "forks": […]}`."""
    with database.read() as connection:
        listed = current(connection)
        places = [_place(connection, place, now) for place in (() if listed is None else listed.places)]
        second = connection.execute(select(forks.c.name, forks.c.digest, forks.c.at).order_by(forks.c.id)).all()
    stories = [{"name": row.name, "digest": row.digest, "at": row.at} for row in second]
    return {"list": 0 if listed is None else listed.n, "places": places, "forks": stories, "at": now}


def _place(connection: Connection, place: str, now: int) -> dict[str, Any]:
    of_place = (facts.c.kind == "attestation") & (facts.c.place == place)
    lives = connection.execute(
        select(facts.c.life, func.count(), func.min(facts.c.n), func.max(facts.c.n), func.max(facts.c.at))
        .where(of_place)
        .group_by(facts.c.life)
        .order_by(facts.c.life)
    ).all()
    kids = connection.execute(select(attesters.c.kid, attesters.c.refused).where(attesters.c.place == place)).all()
    last = lives[-1] if lives else None
    return {
        "place": place,
        "keys": [{"kid": row.kid, "refused": row.refused} for row in kids],
        "life": 0 if last is None else last[0],
        "n": 0 if last is None else last[3],
        "missing": sum(highest - lowest + 1 - count for _, count, lowest, highest, _ in lives),
        "at": None if last is None else last[4],
        "late": last is None or now - last[4] > LATE_S,
        "position": _position(connection, place, last),
    }


def _position(connection: Connection, place: str, last: Any) -> int | None:
    """How far the place says that it has applied the log."""
    if last is None:
        return None
    name = f"{place}/{last[0]}/{last[3]}"
    body = connection.scalar(select(facts.c.body).where(facts.c.kind == "attestation", facts.c.name == name))
    return None if body is None else _payload(body)["log"]["position"]


def _payload(body: bytes) -> dict[str, Any]:
    jws = json.loads(body)["jws"]  # verified when it was taken
    return dict(read_jws(jws, TYP, MAX_ATTESTATION_BYTES, malformed).payload)
