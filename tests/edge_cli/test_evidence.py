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


@pytest.mark.parametrize("option", ["--receipt", "--closing"])
@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"", b"eyJ9.e30.\xc3(", b"[" * 5_000])
def test_what_the_reader_brings_may_be_anything(edge, place, tmp_path, option, data):
    """A verdict, or one line with a code; never a traceback."""
    directory, _ = place
    (tmp_path / "brought").write_bytes(data)
    said = edge("evidence", "verify", directory / "pack.json", *given(place, "trust"), option, tmp_path / "brought")

    assert said.code in (1, 2)
    assert "Traceback" not in said.out


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"\xff",
        b"[" * 100_000,
        b'{"a":1,"a":2}',
        b'{"format":NaN}',
        b'{"format":' + b"9" * 20_000 + b"}",
        b'{"format":"\\ud800"}',
        b'{"format":1e999}',
        b" " * 33_554_433,
    ],
    ids=range(10),
)
def test_what_is_no_file_is_refused_by_name(edge, place, tmp_path, data):
    """Of any bytes check 1 fails, and the verdict is whole."""
    (tmp_path / "pack.json").write_bytes(data)
    said = edge("evidence", "verify", tmp_path / "pack.json", *given(place, "trust"), "--json")

    assert said.code == 1
    assert [found["code"] for check in said.json["checks"] for found in check["findings"]] == ["evidence-form"]
