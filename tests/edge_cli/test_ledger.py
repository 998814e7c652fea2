"""`edge ledger` and `edge witness` as people call them: what they print, and when they say no."""

import json

import pytest
from typer.testing import CliRunner

from consent_core.errors import ConsentEdgeError, Untrusted
from consent_core.formats.leaf import read_leaf
from control_plane.ledger.ledger import LedgerSettings
from edge_cli.edge import app
from edge_cli.ledger import listed_in
from fleet.witnesses import known_witnesses, trust_witnesses, witness_names
from tests.control_plane.ledger.test_reading import put_list
from tests.control_plane.ledger.worlds import World, person

CLI = CliRunner()


@pytest.fixture
def world(tmp_path):
    """A ledger where a control plane has it, with three witnesses."""
    directory = LedgerSettings(tmp_path / "control-plane" / "ledger").directory
    directory.mkdir(parents=True)
    made = World(tmp_path, url=f"sqlite:///{directory / 'ledger.db'}", place=directory / "public")
    made.beat("ann")
    yield made
    made.close()


def run(world, *arguments):
    """The JSON it prints. A refusal is raised, as `edge` itself shows it."""
    result = CLI.invoke(app, ["ledger", *arguments, "--data", str(world.data), "--json"])
    if isinstance(result.exception, ConsentEdgeError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def code(world, *arguments):
    with pytest.raises(ConsentEdgeError) as caught:
        run(world, *arguments)
    return caught.value.code


def test_verify_says_who_saw_it_and_asks_where_the_trust_file_is_from(world):
    """Everything recomputed; the quorum beside the witnesses."""
    told = run(world, "verify")

    assert (told["verdict"], told["size"], told["leaves"]) == ("in order", 8, {"person": 8})
    assert (told["quorum"], told["warning"], len(told["witnesses"])) == ("2 of 3", None, 3)
    assert told["trust_file"].endswith("from where do you have it?")


@pytest.mark.parametrize(("quorum", "warning"), [(0, "the operator's word alone"), (1, "two stories are possible")])
def test_verify_warns_where_too_few_witnesses_must_sign(world, quorum, warning):
    """A quorum of half or fewer is the reader's choice, and said."""
    world.keys.set_trust(witness_quorum=quorum)

    assert warning in run(world, "verify")["warning"]


def test_a_changed_ledger_does_not_verify(world):
    """Exit 1 with the code of what is amiss; also against a checkpoint it did not grow from."""
    bundle = next((world.public.root / "tile" / "entries").rglob("8"))
    bundle.write_bytes(bundle.read_bytes()[:-1] + b"!")
    assert code(world, "verify") == "proof"

    other = World(world.data / "other", witnesses=0, quorum=0)
    assert code(other, "verify") == "ledger-unpublished"
    other.close()


def test_verify_since_an_older_checkpoint(world, tmp_path):
    """Who kept a checkpoint learns that nothing was taken out since."""
    kept = tmp_path / "kept"
    kept.write_bytes(world.public.checkpoint())
    world.beat("bob")
    assert run(world, "verify", "--since", str(kept))["size"] == 16
    newer = tmp_path / "newer"
    newer.write_bytes(world.public.checkpoint())
    (world.public.root / "checkpoint").write_bytes(kept.read_bytes())
    assert code(world, "verify", "--since", str(newer)) == "ledger-rewound"


def test_prove_makes_a_text_that_verifies_offline(world, tmp_path):
    """One leaf by its commitment; the proof alone, and the trust file, suffice."""
    commitment = read_leaf(person("ann")).commitment.hex()
    proof = tmp_path / "leaf.tlog-proof"
    told = run(world, "prove", commitment, "--out", str(proof))
    verdict = run(world, "verify", "--proof", str(proof))

    assert (verdict["verdict"], verdict["index"]) == ("in the ledger", told["index"])
    proof.write_bytes(proof.read_bytes().replace(b"index %d" % told["index"], b"index %d" % (told["index"] ^ 1)))
    assert code(world, "verify", "--proof", str(proof)) == "proof"
    assert code(world, "prove", "ab" * 32) == code(world, "prove", "nonsense") == "leaf-unknown"


def test_watch_remembers_and_says_no(world, tmp_path):
    """Exit 1 at a finding, and what was seen before stays written down."""
    state = tmp_path / "seen.json"
    assert run(world, "watch", "--state", str(state), "--once")["findings"] == []
    old = world.public.checkpoint()
    world.beat("bob")
    assert run(world, "watch", "--state", str(state), "--once")["size"] == 16
    seen = state.read_bytes()
    (world.public.root / "checkpoint").write_bytes(old)
    result = CLI.invoke(app, ["ledger", "watch", "--state", str(state), "--data", str(world.data)])

    assert (result.exit_code, "ledger-rewound" in result.stdout) == (1, True)
    assert state.read_bytes() == seen


def test_status_tells_how_far_it_is(world):
    """Committed, waiting, published, and what was found."""
    world.down = {"w1", "w2"}
    world.beat("bob")
    world.put("cleo")
    world.store.findings.add("store-rewound", "the outbox is at 1, it was at 7", 1_800_000_000)
    told = run(world, "status")

    assert (told["committed"], told["waiting"], told["published"]) == (16, 1, 8)
    assert told["findings"] == ["store-rewound: the outbox is at 1, it was at 7, 2027-01-15 08:00:00"]


def test_restore_makes_a_lost_database_again(world):
    """From the public files of another place, as far as a cosigned checkpoint says."""
    world.store.close()
    (world.data / "control-plane" / "ledger" / "ledger.db").unlink()
    told = run(world, "restore", "--from", str(world.public.root))

    assert told["leaves"] == 8
    assert run(world, "status")["committed"] == 8


def test_witnesses_of_one_machine_are_named_in_the_trust_file(tmp_path):
    """More than half must sign; a second start knows them again; a name cannot leave its folder."""
    assert known_witnesses(tmp_path) == ()
    trust_witnesses(tmp_path, witness_names(3))
    trust_witnesses(tmp_path, witness_names(3))
    told = json.loads(CLI.invoke(app, ["witness", "key", "w2", "--data", str(tmp_path), "--json"]).stdout)

    assert known_witnesses(tmp_path) == ("w1", "w2", "w3")
    assert (told["name"], told["algorithm"], len(told["key"])) == ("w2", "ed25519", 43)
    assert CLI.invoke(app, ["witness", "key", "../w2", "--data", str(tmp_path)]).exit_code == 2


def test_the_places_of_the_newest_list_are_those_of_the_ledger(world):
    """Fetched by number, held against the leaf; a list that is not the one committed to is none."""
    put_list(world, 1, "edge/osaka-1")
    written = put_list(world, 2, "edge/osaka-1", "edge/tokyo-1")
    world.sequencer.beat()
    source, trust = str(world.public.root), world.data / "trust.json"
    assert listed_in(source, trust) == {"edge/osaka-1", "edge/tokyo-1"}

    written.write_bytes(b"{}")
    with pytest.raises(Untrusted, match="list 2") as caught:
        listed_in(source, trust)
    assert caught.value.code == "attesters-missing"
