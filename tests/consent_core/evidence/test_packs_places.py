"""Packs that must fail by name: places, chains, searches, deletions. Each is signed by the operator's own keys."""

from dataclasses import replace

import pytest

from consent_core.evidence.bodies import AttesterList

from .reading import failing, refused, shown, verdict_of, without
from .world import PLACES, START, Key, World

OTHER = "0d" * 32


def test_a_pop_left_out_is_missed(played):
    """A listed place that reported nothing has not stopped."""
    frankfurt = played.attesters["edge/frankfurt-1"].kid
    data = without(played, "attestation", where=lambda body: _signed_by(body, frankfurt))

    refused(played, "enforcement-missing", 11, data)


def _signed_by(body, kid):
    import base64

    header = body["jws"].split(".")[0]
    return kid.encode() in base64.urlsafe_b64decode(header + "==")


def test_a_pop_that_never_applied_the_no_is_missed(tmp_path):
    """To report is not to have stopped."""

    def deaf(attestation):
        if attestation.place != "edge/frankfurt-1":
            return attestation
        return replace(attestation, log=replace(attestation.log, position=42, applied=()))

    world = World(tmp_path, tweaks={"attestation": deaf}).play()
    refused(world, "enforcement-missing", 11)


def test_a_place_that_a_receipt_names_and_no_list_does_is_refused(tmp_path):
    """The person was somewhere of which the operator says that it does not exist."""
    shorter = {"list": lambda listed: replace(listed, places=("control-plane/main", "edge/frankfurt-1"))}
    world = World(tmp_path, tweaks=shorter).play()

    refused(world, "attester-unlisted", 11)


def leaving(world):
    """Frankfurt leaves the list after the yes."""
    world.begin()
    world.say_yes()
    world.list_places(2, ("control-plane/main", "edge/tokyo-1"))
    world.step()
    for act in (world.say_no, world.erase, world.ask):
        act()


def test_a_place_gone_without_stop_is_refused(tmp_path):
    """Who leaves the list says so itself, and what it deleted."""
    world = World(tmp_path)
    leaving(world)

    refused(world, "attester-left", 11)


def test_a_list_left_out_is_missed(tmp_path):
    """Lists are numbered: one cannot be hidden between two."""
    world = World(tmp_path)
    world.begin()
    world.list_places(2)
    world.list_places(3)
    world.say_yes()
    data = world.sealed(world.pack("consent"))
    kept = [placed for placed in world.placed if b'"n":2,' not in placed[0]]

    assert failing(verdict_of(world, data)) == {}
    refused(world, "enforcement-missing", 11, world.sealed(world.pack("consent", kept)))


def test_an_attestation_gap_is_refused(played):
    """One number left out of a chain is a gap, whatever stood there."""
    texts = [text for attestation, text in played.chains["edge/tokyo-1"] if attestation.n == 2]

    refused(played, "attestation-gap", 10, without(played, "attestation", where=lambda body: body["jws"] in texts))


def test_reports_must_begin_before_the_no(played):
    """A chain that begins after the no hides what was before it."""
    texts = [text for attestation, text in played.chains["edge/tokyo-1"] if attestation.until <= played.no_at]

    refused(played, "attestation-gap", 10, without(played, "attestation", where=lambda body: body["jws"] in texts))


def test_time_that_no_report_covers_is_a_gap(tmp_path):
    """Numbers without a gap must also be times without one."""
    tokyo = lambda a: replace(a, since=a.since + 5) if a.place == "edge/tokyo-1" and a.n == 2 else a  # noqa: E731
    world = World(tmp_path, tweaks={"attestation": tokyo}).play()

    refused(world, "attestation-gap", 10)


def test_a_place_with_two_keys_speaks_with_two_voices(tmp_path):
    """In one life a key follows another only if the one before named it."""
    world = World(tmp_path)
    world.begin()
    second = Key("second")
    world.attesters["edge/tokyo-1"], first = second, world.attesters["edge/tokyo-1"]
    world.endorse("edge/tokyo-1")
    world.step()
    world.say_yes()

    assert first.kid != second.kid
    refused(world, "attester-twice", 10, world.sealed(world.pack("consent")))


def test_a_key_change_that_was_announced_is_no_second_voice(tmp_path):
    """The last attestation under a key names the next one."""
    world = World(tmp_path)
    second = Key("second")
    world.begin()
    world.attest("edge/tokyo-1", next=second.kid)
    world.attesters["edge/tokyo-1"] = second
    world.endorse("edge/tokyo-1")
    world.step()
    world.say_yes()

    assert failing(verdict_of(world, world.sealed(world.pack("consent")))) == {}


def test_a_life_change_around_the_no_is_not_shown(tmp_path):
    """A store lost between the no and its report leaves a hole that no number fills."""
    world = World(tmp_path)
    world.begin()
    world.say_yes()
    last = world.chains["edge/tokyo-1"][-1][0]
    again = {"life": 2, "n": 1}
    world.tweaks["attestation"] = lambda a: replace(a, **again) if (a.place, a.n) == (last.place, last.n + 1) else a
    for act in (world.say_no, world.erase, world.ask):
        act()
    verdict = verdict_of(world, world.sealed(world.pack()))

    assert (failing(verdict), shown(verdict, 10), verdict.exit_code) == ({}, "not shown", 1)


def tokyo(change):
    return lambda statement: change(statement) if statement.place == "edge/tokyo-1" else statement


def test_something_personal_after_the_no_is_a_failure(tmp_path):
    """One record is one too many."""
    world = World(tmp_path, tweaks={"search": tokyo(lambda s: replace(s, personalised_after=1))}).play()

    refused(world, "personalised-after", 12)


def test_an_uncovered_worker_trail_is_refused(tmp_path):
    """A search covers every trail that the place attested."""
    only = tokyo(lambda s: replace(s, trails={"tokyo-1": s.trails["tokyo-1"]}))
    world = World(tmp_path, tweaks={"search": only}).play()

    refused(world, "trail-uncovered", 12)


def test_a_search_that_begins_later_is_refused(tmp_path):
    """The search begins at the head of the last interval before the no."""
    later = tokyo(lambda s: replace(s, trails={name: (to, to) for name, (_, to) in s.trails.items()}))
    world = World(tmp_path, tweaks={"search": later}).play()

    refused(world, "head-mismatch", 12)


def test_a_statement_after_nothing_is_refused(tmp_path):
    """A statement names the attestation that it was made after."""
    lost = tokyo(lambda s: replace(s, after=replace(s.after, n=77)))
    world = World(tmp_path, tweaks={"search": lost}).play()

    refused(world, "statement-after", 12)


def test_a_deletion_with_one_remaining_is_refused(tmp_path):
    """Counted again means 0."""
    one = tokyo(lambda s: replace(s, remaining={**s.remaining, "history": 1}))
    world = World(tmp_path, tweaks={"deletion": one}).play()

    refused(world, "deletion-remaining", 13)


@pytest.mark.parametrize("part", ["history", "trail.tokyo-1.w2", "memory.tokyo-1"])
def test_a_missing_part_is_refused(tmp_path, part):
    """Exactly the parts of the profile, each trail's included; memory of at least one process."""

    def less(statement):
        rest = {name: rows for name, rows in statement.remaining.items() if name != part}
        if part.startswith("memory."):
            rest = {name: rows for name, rows in rest.items() if not name.startswith("memory.")}
        return replace(statement, remaining=rest)

    world = World(tmp_path, tweaks={"deletion": tokyo(less)}).play()
    refused(world, "deletion-parts", 13)


def test_a_pop_may_not_count_by_a_device_profile(tmp_path):
    """A place's profile is that of what it is."""
    small = dict.fromkeys(("models", "history", "telemetry", "share"), 0)
    as_device = tokyo(lambda s: replace(s, parts="device/v1", remaining=small, ends={}))
    world = World(tmp_path, tweaks={"deletion": as_device}).play()

    refused(world, "deletion-parts", 13)


def test_a_place_that_did_not_delete_is_missed(tmp_path):
    """Every place, the control plane included."""
    world = World(tmp_path, tweaks={"deletion": lambda s: None if s.place == "control-plane/main" else s}).play()

    refused(world, "deletion-missing", 13)


def test_an_attester_by_another_places_key_is_refused(tmp_path):
    """A key speaks for the place that it was endorsed for."""
    world = World(tmp_path)
    world.attesters["edge/tokyo-1"] = Key("edge/frankfurt-1")
    world.begin()
    world.say_yes()

    refused(world, "attestation-issuer", 10, world.sealed(world.pack("consent")))


def test_an_unendorsed_key_is_refused(tmp_path):
    """A key that nobody endorsed is nobody's."""
    none = {"endorsement": lambda e: None if e.spiffe_id.endswith("/tokyo-1") else e}
    world = World(tmp_path, tweaks=none).play()

    refused(world, "attester-unknown", 10)


def test_an_endorsement_after_the_fact_is_refused(tmp_path):
    """A key is endorsed in the ledger before it attests."""
    world = World(tmp_path)
    world.policy()
    world.list_places()
    world.endorse("edge/frankfurt-1")
    world.endorse("control-plane/main")
    for place in PLACES:
        world.attest(place, "start")
    world.endorse("edge/tokyo-1")
    world.step()
    world.say_yes()

    refused(world, "endorsement", 10, world.sealed(world.pack("consent")))


def test_a_portable_edge_is_not_shown_and_the_file_says_so(tmp_path):
    """What keeps nothing attests nothing: excused only by the file's own word."""
    portable = {"list": lambda listed: AttesterList(listed.n, listed.at, listed.places, ("edge/kiosk",))}
    world = World(tmp_path, tweaks=portable).play()
    told = replace(world.pack(), left=("portable edges keep nothing: kiosk",))

    assert verdict_of(world, world.sealed(world.pack())).exit_code == 1
    assert verdict_of(world, world.sealed(told)).exit_code == 0


def test_a_file_without_a_control_plane_is_refused(tmp_path):
    """Who holds the records is a place too, whatever the lists say."""
    no_plane = {
        "list": lambda listed: replace(listed, places=PLACES[1:]),
        "deletion": lambda s: None if s.place == "control-plane/main" else s,
    }
    world = World(tmp_path, tweaks=no_plane).play()
    pack = world.pack()
    hidden = replace(pack, parties=replace(pack.parties, control_planes=()))

    refused(world, "deletion-missing", 13, world.sealed(hidden))


def test_a_statement_by_another_places_key_is_refused(tmp_path):
    """A search is stated by the place whose trails were searched."""
    world = World(tmp_path)
    for act in (world.begin, world.say_yes):
        act()
    intervals = world.intervals

    def swapped():
        intervals()
        world.attesters["edge/tokyo-1"] = world.attesters["edge/frankfurt-1"]

    world.intervals = swapped
    world.say_no()

    refused(world, "attestation-issuer", 10, world.sealed(world.pack("enforcement")))


def test_a_key_whose_endorsement_ran_out_is_refused(tmp_path):
    """By the witness time of what it signed."""
    brief = {"endorsement": lambda e: replace(e, not_after=START + 40) if e.spiffe_id.endswith("/tokyo-1") else e}
    world = World(tmp_path, tweaks=brief).play()

    refused(world, "trust-key-expired", 3)


def test_one_that_names_another_before_it_is_a_gap(tmp_path):
    """Numbers alone could be told again: each names the text of the one before."""
    other = "sha256:" + "77" * 32
    forgetful = {"attestation": lambda a: replace(a, prev=other) if (a.place, a.n) == ("edge/tokyo-1", 3) else a}
    world = World(tmp_path, tweaks=forgetful).play()

    refused(world, "attestation-gap", 10)


def test_a_request_that_was_dated_afterwards_is_refused(tmp_path):
    """Its date has a witness only if its record went into the ledger when it was received."""
    world = World(tmp_path, tweaks={"request": lambda record: {**record, "at": record["received_at"] + 20}}).play()

    refused(world, "incomplete", 15)


def test_only_a_step_of_devices_has_nobody_to_do_it(tmp_path):
    """`none` in the place of a POP is no evidence that every POP was asked."""

    def nobody(record):
        return {**record, "steps": [*record["steps"], {"step": "enforced", "party": "none", "state": "done"}]}

    refused(World(tmp_path, tweaks={"request": nobody}).play(), "incomplete", 15)


def test_a_deployment_without_devices_says_so(tmp_path):
    """The step is done by nobody, and the file holds."""

    def devices(record):
        return {**record, "steps": [*record["steps"], {"step": "devices", "party": "none", "state": "done"}]}

    world = World(tmp_path, tweaks={"request": devices}).play()
    assert verdict_of(world, world.sealed(world.pack())).answered
