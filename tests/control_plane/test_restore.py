"""A control plane restored from a backup knows what its POPs know, and says nothing before it does."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from consent_core.errors import Rejected, Untrusted
from consent_core.formats.kept import Kept, read_kept, write_kept
from consent_core.formats.revocation import Entry
from consent_core.formats.revocation_request import RevocationRequest
from consent_core.formats.token import CATEGORIES
from control_plane.app import create_app
from control_plane.consent.changes import NOTHING_SAID, Word
from control_plane.restore.backup import MANIFEST, back_up, put_back, read_backup
from control_plane.restore.deciding import RAISE, No, Source, decide
from control_plane.settings import Settings
from tests.control_plane import crashing
from tests.control_plane.conftest import Caller, poll
from tests.control_plane.restoring import Visitor, World, with_refusal

BOTH = ("contextual", "behavioral")


@pytest.fixture
def world(either: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    def fresh() -> Settings:
        if either.database_url is None:
            return either
        return replace(either, database_url=request.getfixturevalue("postgres_server").url())

    made = World(either, tmp_path / "pops", fresh)
    yield made
    made.close()


@pytest.fixture
def small(settings: Settings, tmp_path: Path) -> Iterator[World]:
    made = World(settings, tmp_path / "pops", lambda: settings)
    yield made
    made.close()


def test_what_was_said_after_the_backup_is_there_again(world: World) -> None:
    """Yeses with their sessions, noes, and the order between them; on either store."""
    known, later, changed = Visitor(world), Visitor(world), Visitor(world)
    known.yes(*BOTH)
    changed.yes("contextual")
    backup = world.back_up()
    known.no("behavioral", pop="paris-1")
    later.yes(*BOTH, pop="paris-1")
    later.no("contextual")
    changed.no("contextual")
    changed.yes("experimental")
    changed.yes("contextual", pop="paris-1")
    for edge in world.edges.values():
        edge.poll()
    world.restore(backup)

    assert known.held() == ("contextual",)
    assert later.held() == ("behavioral",)
    assert changed.held() == ("contextual", "experimental")
    for edge in world.edges.values():
        edge.poll()
        assert (edge.sync.trust_state.in_sync(), edge.sync.status().alarm) == (True, None)


def test_a_no_that_no_entry_tells_of_counts(world: World) -> None:
    """Said at a POP, forwarded or not, and the log's entry was read by nobody: the POP still has the no itself."""
    one, two, three = (Visitor(world) for _ in range(3))
    for visitor in (one, two, three):
        visitor.yes(*BOTH)
    backup = world.back_up()
    one.no("behavioral", pop="paris-1")
    two.no("contextual", forward=False)
    world.restore(backup)

    assert [visitor.held() for visitor in (one, two, three)] == [("contextual",), ("behavioral",), BOTH]
    for edge in world.edges.values():
        edge.poll()
        assert edge.sync.trust_state.denied(one.subject, one.answers[0].ver) == {"behavioral"}
        assert edge.sync.trust_state.denied(two.subject, two.answers[0].ver) == {"contextual"}


def test_a_late_no_does_not_take_a_later_yes(world: World) -> None:
    """By number: the no of click 2 came to light in the restore, the yes of click 3 stays."""
    visitor = Visitor(world)
    visitor.yes(*BOTH)
    backup = world.back_up()
    visitor.no("behavioral", forward=False, pop="paris-1")
    visitor.yes("behavioral")
    world.restore(backup)

    assert visitor.held() == BOTH


def test_versions_are_far_above_anything_seen(small: World) -> None:
    """No token that the lost store gave out, and no click of any browser, is above them."""
    visitor, quiet = Visitor(small), Visitor(small)
    quiet.yes("contextual")
    backup = small.back_up()
    last = max(visitor.yes("contextual").ver, visitor.yes("behavioral").ver)
    small.restore(backup)
    for who, seen in ((visitor, last), (quiet, 1)):
        assert who.refresh().ver >= seen + RAISE
    assert visitor.refresh().token is not None
    no = visitor.no("behavioral")

    assert no is not None
    assert no.ver > last + RAISE
    assert visitor.held() == ("contextual",)


def test_who_was_erased_after_the_backup_is_erased_again(world: World) -> None:
    """Before anything is served; the purge is in the log, and nobody can be that person again."""
    visitor, other = Visitor(world), Visitor(world)
    visitor.yes(*BOTH)
    other.yes("contextual")
    backup = world.back_up()
    world.plane.revoking.revoke(RevocationRequest("purge", visitor.subject, CATEGORIES))
    world.edges["paris-1"].poll()
    world.restore(backup)

    with pytest.raises(Rejected) as refusal:
        visitor.held()
    assert refusal.value.code == "session-unknown"
    assert other.held() == ("contextual",)
    assert visitor.subject in [entry.subject for entry in poll(world.plane).entries if entry.kind == "purge"]


def test_keys_and_models_that_were_revoked_stay_revoked(small: World) -> None:
    """Also the key that signs: another one takes over."""
    backup = small.back_up()
    kid = small.plane.keys.current("token").kid
    small.plane.revoking.revoke(RevocationRequest("key", kid))
    small.plane.revoking.revoke(RevocationRequest("model", "model-v1"))
    small.edges["tokyo-1"].poll()
    small.restore(backup)

    assert kid in small.plane.log.revoked_keys()
    assert small.plane.keys.current("token").kid != kid
    small.edges["paris-1"].poll()
    assert small.edges["paris-1"].store.revocations.model_revoked("model-v1")


def test_nothing_is_served_before_every_pop_has_delivered(small: World) -> None:
    """No yes, no no, no token, no edge state, no revocation; health and each refusal say why."""
    visitor = Visitor(small)
    visitor.yes(*BOTH)
    assert visitor.refresh().token is not None  # its session is presented: from now on a refresh only reads
    backup = small.back_up()
    small.lose(backup)
    small.deliver("tokyo-1")
    mesh, public = Caller(small.plane.mesh_app), Caller(small.plane.public_app)
    assert not small.plane.collecting.complete()

    for call in (
        lambda: visitor.yes("experimental"),
        lambda: visitor.no("contextual", pop="paris-1"),
        visitor.refresh,
        lambda: small.plane.revoking.revoke(RevocationRequest("model", "m")),
    ):
        assert with_refusal(call) == "log-collecting"
    assert public("GET", "/v1/edge-state").json()["error"]["code"] == "log-collecting"
    assert public("GET", "/healthz").json() == {"status": "log-collecting"}
    assert mesh("GET", "/v1/revocations").status_code == 423
    assert not small.edges["tokyo-1"].sync.trust_state.in_sync() or small.edges["tokyo-1"].sync.status().alarm is None

    small.deliver("paris-1")
    assert public("GET", "/healthz").json() == {"status": "ok"}
    assert visitor.held() == ("behavioral",)  # the no that was said to a POP meanwhile is among what it delivered


def test_a_restart_in_the_middle_goes_on_collecting(small: World) -> None:
    """What was delivered stays; who delivered need not again."""
    visitor = Visitor(small)
    backup = small.back_up()
    visitor.yes("contextual")
    small.lose(backup)
    small.deliver("tokyo-1")
    small.plane.close()
    small.plane = create_app(small.settings)
    small.deliver("paris-1")

    assert visitor.held() == ("contextual",)


@pytest.mark.parametrize("point", ["restore.page-kept", "restore.entries-taken", "restore.before-commit"])
def test_killed_at_any_line_a_restore_is_done_wholly_or_not_at_all(small: World, point: str) -> None:
    """The store goes on collecting when a control plane is started on it; nobody delivers twice."""
    visitor = Visitor(small)
    visitor.yes(*BOTH)
    backup = small.back_up()
    visitor.no("contextual", pop="paris-1", forward=False)
    small.lose(backup)
    small.deliver("paris-1")
    small.plane.close()
    assert crashing.run("collect", small.settings.data, small.settings.database_url, point) == -9
    small.plane = create_app(small.settings)
    assert small.plane.log.standing() == "collecting"
    assert small.plane.collecting.complete()

    assert visitor.held() == ("behavioral",)
    assert visitor.refresh().ver > RAISE


def test_a_pop_that_is_gone_is_left_out_and_its_noes_return_with_it(world: World) -> None:
    """Its yeses are lost. It comes back, is not covered, an operator accepts the log there: it sends all it kept."""
    visitor, gone = Visitor(world), Visitor(world)
    visitor.yes(*BOTH)
    backup = world.back_up()
    visitor.no("behavioral", pop="paris-1", forward=False)
    gone.yes("contextual", pop="paris-1")
    world.plane.revoking.revoke(RevocationRequest("model", "model-v1"))
    paris = world.edges["paris-1"]
    paris.poll()
    world.restore(backup, without=("paris-1",))
    assert visitor.held() == BOTH
    assert with_refusal(gone.held) == "session-unknown"

    assert with_refusal(paris.poll) == "log-origin"
    assert not paris.sync.trust_state.in_sync()
    paris.store.accept_log()
    paris.poll()
    assert paris.sync.trust_state.in_sync()
    assert "model-v1" in [entry.subject for entry in poll(world.plane).entries]
    (row,) = (read_kept(write_kept([Kept("withdrawal", body)])) for body in paris.store.raw.withdrawals("paris-1"))
    assert row[0].kind == "withdrawal"
    assert paris.store.database.rows("SELECT state FROM outbox") == [("pending",)]


def test_a_pop_that_enforced_no_more_than_is_known_goes_on_although_it_was_left_out(small: World) -> None:
    """Covered by the log itself, not by having delivered."""
    backup = small.back_up()
    visitor = Visitor(small)
    visitor.yes(*BOTH)
    visitor.no("behavioral")
    for edge in small.edges.values():
        edge.poll()
    small.restore(backup, without=("paris-1",))
    small.edges["paris-1"].poll()

    assert small.edges["paris-1"].sync.trust_state.in_sync()
    assert small.edges["paris-1"].sync.status().alarm is None


def test_both_histories_of_a_log_that_was_copied_back_are_taken_over(small: World) -> None:
    """One POP enforced what came before the copy, the other what came after: the restored log has both."""
    one, two = Visitor(small), Visitor(small)
    one.yes(*BOTH)
    two.yes(*BOTH)
    backup = small.back_up()
    one.no("behavioral")
    small.edges["tokyo-1"].poll()
    small.plane.close()
    database = put_back(backup, small.settings.store_url, 1)
    database.close()
    small.plane = create_app(small.settings)
    two.no("contextual", pop="paris-1")
    small.edges["paris-1"].poll()
    assert with_refusal(small.edges["tokyo-1"].poll) == "log-fork"
    small.restore(backup)

    assert (one.held(), two.held()) == (("contextual",), ("behavioral",))
    for edge in small.edges.values():
        edge.poll()
        assert (edge.sync.trust_state.in_sync(), edge.sync.status().alarm) == (True, None)
        assert edge.sync.trust_state.denied(one.subject, 1) == {"behavioral"}
        assert edge.sync.trust_state.denied(two.subject, 1) == {"contextual"}


def test_a_pop_that_joined_after_the_backup_delivers_too(small: World) -> None:
    """It meets the log that collects; the operator may name it to be waited for."""
    backup = small.back_up()
    small.add("london-1")
    visitor = Visitor(small)
    visitor.yes("contextual", pop="london-1")
    small.lose(backup, also=("london-1",))
    small.deliver("tokyo-1", "paris-1")
    assert not small.plane.collecting.complete()
    small.deliver("london-1")

    assert visitor.held() == ("contextual",)


def test_what_nobody_signed_is_left_out(small: World) -> None:
    """A POP cannot make up a yes or a revocation; the rest of its delivery counts."""
    visitor = Visitor(small)
    answer = visitor.yes("contextual")
    assert answer.proof is not None
    head, payload, _ = answer.proof.split(".")
    backup = small.back_up()
    forged = f"{head}.{payload}.{'A' * 86}"
    raw = small.edges["paris-1"].store.raw
    raw.keep("grant", forged.encode())
    raw.keep("answer", b'{"entries": [], "nonce": "n"}')
    raw.keep("answer", raw.after(0)[0].body.replace(b'"activate"', b'"distrust"'))
    visitor.no("contextual", pop="paris-1", forward=False)
    small.restore(backup)

    assert visitor.held() == ()
    assert sum(small.plane.restoring.left_out.values()) == 3


@pytest.mark.parametrize(
    ("role", "name", "allowed"),
    [
        ("edge", "tokyo-1", True),
        ("edge", "paris-1", False),
        ("operator", "tokyo-1", False),
        ("device", "tokyo-1", False),
    ],
)
def test_a_pop_delivers_its_own_alone(small: World, role: str, name: str, allowed: bool) -> None:
    """The route checks it by itself, beside the mesh policy."""
    from consent_core.trust.spiffe import SpiffeId

    mesh = Caller(small.plane.mesh_app, SpiffeId.of("ui-tools", role, name))
    answer = mesh("POST", "/v1/pops/tokyo-1/kept", content=write_kept([Kept("end", b"")]))

    assert answer.status_code == (204 if allowed else 403)


@pytest.mark.parametrize(
    "body", [b"{", b'{"kind":"answer"}', b'{"kind":"x","body":"AA"}', b'{"kind":"answer","body":"%"}']
)
def test_a_page_that_is_not_of_the_agreed_form_is_refused(small: World, body: bytes) -> None:
    """As a whole: nothing of it is kept."""
    assert Caller(small.plane.mesh_app)("POST", "/v1/pops/tokyo-1/kept", content=body).status_code == 400


# Backups.


def test_a_backup_is_made_while_the_store_is_written(world: World) -> None:
    """It is one moment of the store: whole, with the log's head as it says."""
    visitor = Visitor(world)
    visitor.yes(*BOTH)
    backup = read_backup(world.back_up())
    visitor.no("contextual")

    assert backup.head == poll(world.plane).head - 1
    assert backup.origin == poll(world.plane).origin


def test_a_damaged_backup_is_refused_before_anything_is_replaced(world: World) -> None:
    """Each file is held against the digest that was noted with it."""
    directory = world.back_up()
    victim = next(path for path in directory.iterdir() if path.name != MANIFEST and path.stat().st_size)
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(bytes(data))

    with pytest.raises(Untrusted) as refusal:
        put_back(directory, world.settings.store_url, 1)
    assert refusal.value.code == "backup-damaged"
    assert poll(world.plane).head == 1


def test_a_backup_never_overwrites_one(small: World) -> None:
    """Nor does one that broke off look like one."""
    directory = small.back_up()
    with pytest.raises(Rejected):
        back_up(small.plane.database, directory, 1)
    (directory / MANIFEST).unlink()
    with pytest.raises(Untrusted):
        read_backup(directory)


def test_what_was_in_the_stores_place_is_kept(small: World) -> None:
    """It may hold what nobody else has."""
    backup = small.back_up()
    small.plane.close()
    put_back(backup, small.settings.store_url, 77).close()

    assert (small.settings.home / "consent.db.before-77").exists()


# The decision.

refusals = st.builds(Word, st.sampled_from(["not-given", "withdrawn"]), st.integers(0, 40))
words = st.builds(Word, st.just("given"), st.integers(1, 40), st.integers(1, 40)) | refusals
states = st.fixed_dictionaries(dict.fromkeys(CATEGORIES, words))
sources = st.lists(st.builds(Source, st.integers(1, 40), states, st.integers(0, 99)), min_size=1, max_size=4)
some = st.sets(st.sampled_from(CATEGORIES), min_size=1).map(lambda s: tuple(c for c in CATEGORIES if c in s))
noes = st.lists(st.builds(No, some, st.integers(1, 60), st.integers(0, 99)), max_size=4)


@given(sources, noes, st.randoms())
def test_the_order_of_deliveries_decides_nothing(known, said, random) -> None:
    """Whichever POP delivered first: the numbers say what came last."""
    shuffled, other = list(known), list(said)
    random.shuffle(shuffled)
    random.shuffle(other)
    one, two = decide(known, (), said), decide(shuffled, (), other)

    assert {c: one.words[c].on for c in CATEGORIES} == {c: two.words[c].on for c in CATEGORIES}


@given(sources, noes)
def test_no_restore_brings_a_yes_back_that_a_later_no_took(known, said) -> None:
    """Of each category the highest number decides, at equal numbers the no."""
    decision = decide(known, (), said)
    for category in CATEGORIES:
        yes = max((s.words[category].at for s in known if s.words[category].on), default=-1)
        taken = [s.words[category].at for s in known if not s.words[category].on]
        taken += [no.number for no in said if category in no.categories and no.number is not None]

        assert decision.words[category].on == (yes > max(taken, default=-1))
    assert decision.ver >= max(source.ver for source in known) + RAISE


def test_an_entry_takes_what_is_older_than_its_bound() -> None:
    """Also one of version 0.1.0, which knows no number; a yes above the bound stays."""
    entry = Entry(1, "sha256:" + "0" * 64, "A" * 22, "session", "ab" * 32, ("contextual",), 5, 0, 1, "stop")
    for since, on in ((4, False), (5, True)):
        source = Source(6, {**NOTHING_SAID, "contextual": Word("given", 3, since)}, 1)
        assert decide([source], [entry], []).words["contextual"].on is on


@pytest.mark.parametrize(("later", "stays"), [(-10, False), (0, False), (300, False), (301, True)])
def test_a_no_without_a_number_yields_to_a_clearly_later_yes_alone(later: int, stays: bool) -> None:
    """Clocks differ: where nothing says which came last, the no counts."""
    source = Source(6, {**NOTHING_SAID, "contextual": Word("given", 3, 6)}, 1_000 + later)
    decision = decide([source], (), [No(("contextual",), None, 1_000)])

    assert decision.words["contextual"].on is stays


CLICKS = st.lists(
    st.tuples(
        st.sampled_from(["yes", "no", "lost no", "poll", "backup"]),
        st.sampled_from(CATEGORIES),
        st.sampled_from(["tokyo-1", "paris-1"]),
    ),
    min_size=3,
    max_size=10,
)


@hypothesis_settings(max_examples=12, deadline=None)
@given(clicks=CLICKS)
def test_the_last_word_of_each_category_holds_after_a_restore(template, tmp_path_factory, clicks) -> None:
    """Any clicks at two POPs, any backup among them: the record is what the person said last."""
    import shutil

    from consent_core.clock import ManualClock

    home = tmp_path_factory.mktemp("any")
    shutil.copytree(template, home / "data")
    settings = Settings(data=home / "data", clock=ManualClock())
    world = World(settings, home / "pops", lambda: settings)
    visitor, said = Visitor(world), {}
    visitor.yes("contextual")
    said["contextual"] = True
    backup = world.back_up()
    for what, category, pop in clicks:
        if what == "backup":
            backup = world.back_up()
        elif what == "poll":
            world.edges[pop].poll()
        elif what == "yes":
            visitor.yes(category, pop=pop)
            said[category] = True
        else:
            visitor.no(category, pop=pop, forward=what == "no")
            said[category] = False
    world.restore(backup)
    held = visitor.held()
    world.close()

    assert held == tuple(c for c in CATEGORIES if said.get(c))
