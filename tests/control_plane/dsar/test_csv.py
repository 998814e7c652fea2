"""`privacy-requests.csv` names nobody and links nothing; an import counts whole or not at all."""

import csv
import io
from dataclasses import replace

import pytest

from control_plane.dsar import store
from control_plane.dsar.csv_file import COLUMNS, read_import, write_rows
from tests.control_plane.conftest import Browser, Caller, refused_with
from tests.control_plane.dsar.world import World, subject

GOOD = ["a-1", "1800000000", "deletion", "e9" * 32, "", "", "", "", ""]


def file(*rows, header=COLUMNS):
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([header, *rows])
    return text.getvalue().encode()


def test_two_requests_of_one_person_have_nothing_in_common(plane):
    """The file is written after each change, and holds neither the person's name nor the same pseudonym twice."""
    world = World(plane).begin()
    visitor = world.visitor()
    world.ask(visitor, "objection")
    world.ask(visitor, "deletion")
    data = (plane.settings.home / "privacy-requests.csv").read_bytes()
    rows = list(csv.DictReader(io.StringIO(data.decode(), newline="")))

    assert [row["kind"] for row in rows] == ["objection", "deletion"] or len(rows) == 2
    assert len({row["subject"] for row in rows}) == 2
    assert subject(visitor).encode() not in data
    assert visitor.sub.encode() not in data


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t"])
def test_no_cell_is_a_formula(plane, first):
    """A spreadsheet calculates nothing of what somebody else wrote."""
    world = World(plane).begin()
    request = world.ask(world.visitor(), "objection").request
    data = write_rows([replace(request, jurisdiction=f"{first}1")])

    assert f"'{first}1" in data.decode()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (file(header=("id",)), "csv-header"),
        (b"\xff\xfe", "csv-encoding"),
        (file(GOOD, GOOD), "csv-duplicate"),
        (file([*GOOD[:4], "=1+1", *GOOD[5:]]), "csv-formula"),
        (file(GOOD[:3]), "csv-malformed"),
        (file([GOOD[0], "soon", *GOOD[2:]]), "csv-malformed"),
        (file([*GOOD[:2], "forget", *GOOD[3:]]), "csv-malformed"),
        (file([*GOOD[:3], "somebody", *GOOD[4:]]), "csv-malformed"),
        (file([*GOOD[:6], "fulfilled", "", ""]), "csv-malformed"),
        (b'id,"', "csv-malformed"),
        (file(*[[f"a-{n}", *GOOD[1:]] for n in range(10_001)]), "csv-too-large"),
        (b"", "csv-header"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_counts(data, code):
    """Header, encoding, cells, ids, formulas, size."""
    refused_with(code, 400, read_import, data)


def test_an_import_with_one_stranger_opens_nothing(either_plane):
    """Checked whole before the first request is made."""
    plane = either_plane
    visitor = Browser(plane)
    visitor.grant("contextual")
    operator = Caller(plane.mesh_app)
    mine = ["a-2", *GOOD[1:3], subject(visitor), *GOOD[4:]]
    refused = operator("POST", "/v1/dsar/import", content=file(mine, GOOD))

    assert refused.json()["error"]["code"] == "csv-person"
    with plane.database.read() as connection:
        assert store.all_of(connection) == []
    taken = operator("POST", "/v1/dsar/import", content=file(mine))
    assert [one["kind"] for one in taken.json()["requests"]] == ["deletion"]
