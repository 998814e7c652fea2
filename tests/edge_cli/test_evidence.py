"""`edge evidence`: a stranger with a file, a receipt and a trust file, and nothing of ours."""

import pytest

from tests.consent_core.evidence.world import World


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with what a person was given: file, receipt, closing statement, and the trust file."""
    directory = tmp_path_factory.mktemp("given")
    world = World(tmp_path_factory.mktemp("world")).play()
    data = world.sealed(world.pack())
    (directory / "pack.json").write_bytes(data)
    (directory / "trust.json").write_bytes(world.trust.to_bytes())
    (directory / "receipt.jwt").write_text(world.receipts[-1] + "\n")
    (directory / "closing.jwt").write_text(world.closing(data) + "\n")
    return directory, world


def given(place, *names):
    directory, world = place
    options = {"receipt": "receipt.jwt", "closing": "closing.jwt", "trust": "trust.json"}
    return [item for name in names for item in (f"--{name}", directory / options[name])] + ["--at", world.now + 60]


def test_a_truthful_file_is_exit_0(edge, place):
    """The whole verdict, as a program reads it."""
    directory, _ = place
    said = edge("evidence", "verify", directory / "pack.json", *given(place, "trust", "receipt", "closing"), "--json")

    assert (said.code, said.json["answered"], len(said.json["checks"])) == (0, True, 18)
    assert said.json["lines"][0].endswith("from where do you have it?")


def test_a_file_with_one_letter_changed_is_exit_1(edge, place, tmp_path):
    """People see which check failed and by which name."""
    directory, _ = place
    altered = tmp_path / "altered.json"
    altered.write_text((directory / "pack.json").read_text().replace('"made_at":18', '"made_at":17'))
    said = edge("evidence", "verify", altered, *given(place, "trust"))

    assert said.code == 1
    assert "evidence-signature" in said.out


def test_without_a_trust_file_there_is_no_verdict(edge, place, tmp_path):
    """Nothing is believed by default."""
    directory, _ = place
    said = edge("evidence", "verify", directory / "pack.json", "--data", tmp_path)

    assert said.code == 1
    assert "trust-file-missing" in said.err


def test_a_missing_file_is_usage(edge, place):
    """Exit 2, as every command."""
    assert edge("evidence", "verify", "nowhere.json", *given(place, "trust")).code == 2


def test_the_documents_are_listed_in_the_ledgers_order(edge, place):
    """`show` says what is in a file, without judging it."""
    directory, _ = place
    said = edge("evidence", "show", directory / "pack.json", "--trust", directory / "trust.json", "--json")

    leaves = [row["leaf"] for row in said.json]
    assert said.code == 0
    assert leaves == sorted(leaves)
    assert {"receipt", "revocation", "statements", "attestation", "policy"} <= {row["kind"] for row in said.json}


def test_the_page_is_written(edge, place, tmp_path):
    """The same verdict, for a browser."""
    directory, _ = place
    out = tmp_path / "page.html"
    said = edge("evidence", "html", directory / "pack.json", *given(place, "trust", "receipt", "closing"), "--out", out)

    assert said.code == 0
    assert "proves nothing" in out.read_text()
