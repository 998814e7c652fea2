"""What a place sends is taken once, in its week, under its name and within its budget; a refusal changes nothing."""

import json
import multiprocessing
import signal
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from sqlalchemy import select

from consent_core.crash import arm
from consent_core.errors import ConsentEdgeError
from consent_core.formats.budget_ledger import BudgetLine
from consent_core.privacy.ledger import spend, spent
from consent_core.privacy.mechanism import Mechanism
from consent_core.privacy.weeks import index_of, later
from consent_core.trust.spiffe import SpiffeId
from control_plane.federated import budget
from control_plane.store.learning_schema import learning_budget, learning_rounds, learning_updates
from tests.control_plane.federated.place import Place, begin_week, end_week, numbers

DAY_S = 86_400


@pytest.fixture
def place(plane):
    return Place(plane)


@pytest.fixture
def week(plane):
    """A week that is over by three hours."""
    week = begin_week(plane)
    end_week(plane)
    return week


def everything(plane):
    """All that learning keeps."""
    with plane.database.read() as connection:
        return [
            connection.execute(select(table)).all() for table in (learning_rounds, learning_updates, learning_budget)
        ]


def log_lines(plane):
    return [
        json.loads(line)
        for path in sorted((plane.settings.data / "logs" / "fl").rglob("*.ndjson"))
        for line in path.read_text().splitlines()
    ]


def refused(plane, place, body, caller=None):
    """The code of a refusal that left one line in the log and changed nothing else."""
    before, lines = everything(plane), len(log_lines(plane))
    with pytest.raises(ConsentEdgeError) as error:
        plane.federated.intake.take(caller or place.spiffe_id, place.key, body)
    assert everything(plane) == before
    assert len(log_lines(plane)) == lines + 1
    assert log_lines(plane)[-1]["verdict"] == "refused"
    assert log_lines(plane)[-1]["code"] == error.value.code
    return error.value.code


def test_an_update_of_a_week_that_is_over_is_taken(plane, place, week):
    """It is archived byte for byte, its spend is in the ledger, a line says so."""
    body = place.body(week)

    verdict = place.send(body)
    assert verdict.to_json()["verdict"] == "accepted"
    _, (row,), (spend_,) = everything(plane)
    assert (row.pop, row.week, row.verdict, row.body) == ("tokyo-1", week, "accepted", body)
    assert json.loads(spend_.line)["rho"] == "8388608/76125335"
    assert [path.parent.name for path in (plane.settings.data / "logs" / "fl").rglob("*.ndjson")] == ["tokyo-1"]
    assert log_lines(plane)[0].keys() == {"at", "update", "week", "spiffe_id", "verdict"}


def test_the_same_again_gets_the_first_answer(plane, place, week):
    """Also signed once more, by the next certificate of the same place, and after the seven days."""
    body = place.body(week)
    first = place.send(body)
    before = everything(plane)
    successor = Place(plane)
    plane.settings.clock.advance(8 * DAY_S)

    assert place.send(body) == first
    assert successor.send(successor.body(week)) == first
    assert everything(plane) == before


def test_other_words_about_a_week_are_refused_and_count(plane, place, week):
    """Refusing does not unsee: the second story is kept, and its spend too, once however often it comes."""
    place.send(place.body(week))
    other = Place(plane)
    body = other.body(week, seed=1)

    for _ in range(2):
        with pytest.raises(ConsentEdgeError) as error:
            other.send(body)
        assert error.value.code == "update-conflict"
    _, updates, lines = everything(plane)
    assert sorted(row.verdict for row in updates) == ["accepted", "conflict"]
    assert [json.loads(row.line)["what"] for row in lines] == ["round", "conflict"]


def test_after_a_second_story_the_place_has_one_week_less(plane):
    """Five weeks hold five spends, whichever of them were second stories."""
    place, weeks = Place(plane), [begin_week(plane)]
    end_week(plane)
    place.send(place.body(weeks[0]))
    liar = Place(plane)
    with pytest.raises(ConsentEdgeError):
        liar.send(liar.body(weeks[0], seed=1))
    with plane.database.read() as connection:
        place.lines = budget.lines_of(connection, "tokyo-1")
    for n in range(1, 5):
        week = later(weeks[0], n)
        if n == 4:
            with pytest.raises(ConsentEdgeError) as error:
                place.update(week)
            assert error.value.code == "budget-exhausted"
        else:
            end_week(plane)
            place.send(place.body(week, seed=n))


def changed_mechanism(update):
    return replace(update, mechanism={**update.mechanism, "sigma2": "1"})


def changed_promise(**members):
    return lambda update: replace(update, guarantee={**update.guarantee, **members})


BAD = {
    "another place's name": ("update-foreign", lambda u: replace(u, pop="frankfurt-1")),
    "another workload's id": ("update-foreign", lambda u: replace(u, spiffe_id="spiffe://ui-tools/edge/frankfurt-1")),
    "a week that nobody opened": ("update-late", lambda u: replace(u, week="2020-W10")),
    "a week 53 of a year of 52": ("update-week", lambda u: replace(u, week="2027-W53")),
    "a week in the future": ("update-week", lambda u: replace(u, week="2030-W10")),
    "a model that never learns": (
        "update-category",
        lambda u: replace(
            u, models=("contextual", "experimental"), base={"contextual": "seed", "experimental": "seed"}
        ),
    ),
    "models in another order": ("update-category", lambda u: replace(u, models=u.models[::-1])),
    "another base": ("update-base", lambda u: replace(u, base={**u.base, "contextual": "model-v20270104.1"})),
    "another noise": ("update-mechanism", changed_mechanism),
    "another policy": ("update-mechanism", lambda u: replace(u, policy="sha256:" + "0" * 64)),
    "a smaller epsilon than the noise keeps": ("budget-mismatch", changed_promise(epsilon="1")),
    "a smaller delta": ("budget-mismatch", changed_promise(delta="1e-9")),
    "a longer unit": ("budget-mismatch", changed_promise(unit="pseudonym-53-weeks")),
    "a cheaper week": ("budget-mismatch", changed_promise(rho_week="1/1000")),
    "a cheaper line": (
        "budget-mismatch",
        lambda u: replace(u, ledger=(*u.ledger[:-1], replace(u.ledger[-1], rho=Fraction(1, 1000)))),
    ),
    "a line of another week": (
        "budget-mismatch",
        lambda u: replace(u, ledger=(*u.ledger[:-1], replace(u.ledger[-1], week="2020-W10"))),
    ),
    "a line that calls itself taken over": (
        "budget-mismatch",
        lambda u: replace(u, ledger=(*u.ledger[:-1], replace(u.ledger[-1], what="adopted"))),
    ),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_a_manifest_that_is_not_the_weeks_is_refused(plane, place, week, name):
    """Nothing changed, one line in the log."""
    code, change = BAD[name]

    assert refused(plane, place, place.written(change(place.update(week)), numbers())) == code


@pytest.mark.parametrize("length", [4127, 4129, 2080])
def test_another_length_is_refused(plane, place, week, length):
    """The weights of the models that may learn, and the figures."""
    body = place.written(place.update(week), numbers(length=length))

    assert refused(plane, place, body) == "update-shape"


def test_a_sum_that_no_crowd_can_make_is_refused(plane, place, week):
    """Ten times the plan's visitors of a week, all alike, and eight sigmas."""
    loud = np.full(4128, 2**24, dtype=np.int64)

    assert refused(plane, place, place.written(place.update(week), loud)) == "update-range"


def test_bytes_that_are_no_update_are_refused(plane, place, week):
    """They are named by their own digest in the log."""
    assert refused(plane, place, b"\x80\x05pickle") == "update-malformed"
    assert log_lines(plane)[-1].keys() == {"at", "update", "spiffe_id", "verdict", "code"}


def test_another_certificate_than_the_signers_is_refused(plane, place, week):
    """A place cannot pass on what another signed, not even under that one's words."""
    thief = Place(plane, "frankfurt-1")

    assert refused(plane, thief, place.body(week)) == "update-signature"


def test_an_operator_sends_no_update(plane, place, week):
    """Only an edge, whatever the policy in force says."""
    operator = SpiffeId.of("ui-tools", "operator", "tokyo-1")

    assert refused(plane, place, place.body(week), operator) == "update-foreign"


def test_a_place_that_the_plan_does_not_name_is_refused(plane, week):
    """The divisor of learning is the plan: who is not in it would weigh nothing and spend nothing."""
    stranger = Place(plane, "lima-1")

    assert refused(plane, stranger, stranger.body(week)) == "update-foreign"


def test_a_week_is_refused_until_it_is_over(plane, place):
    """One second before its end."""
    week = begin_week(plane)
    body = place.body(week)
    plane.settings.clock.wall += 7 * DAY_S - 3600 - 1

    assert refused(plane, place, body) == "update-week"
    plane.settings.clock.wall += 1
    assert place.send(body).week == week


def test_a_week_is_late_after_seven_days(plane, place, week):
    """To the second."""
    body = place.body(week)
    plane.settings.clock.wall += 7 * DAY_S - 3 * 3600

    assert refused(plane, place, body) == "update-late"
    plane.settings.clock.wall -= 1
    assert place.send(body).week == week


def test_the_budget_is_refused_a_second_time(plane, place, week):
    """A place whose own ledger was tampered with: the control plane adds up by itself."""
    with plane.database.write() as connection:
        mechanism = Mechanism.promising(5, "5", "1e-5", "0.4")
        lines = ()
        for n in (1, 2, 3, 4):
            lines = spend(lines, later(week, -n), mechanism)
        loud = BudgetLine(5, lines[-1].digest, later(week, -1), Fraction(1, 1000), "conflict", mechanism.digest)
        budget.keep(connection, "tokyo-1", (*lines, loud))
    own, known = place.update(week), (*lines, loud)  # an honest place would refuse itself here
    line = BudgetLine(6, known[-1].digest, week, mechanism.rho, "round", mechanism.digest)

    assert refused(plane, place, place.written(replace(own, ledger=(*known, line)), numbers())) == "budget-exhausted"


def test_a_place_from_a_backup_that_did_not_ask_is_forked(plane, place):
    """It spends under a number that is taken."""
    first = begin_week(plane)
    end_week(plane)
    place.send(place.body(first))
    end_week(plane)
    restored = Place(plane)

    assert refused(plane, restored, restored.body(later(first, 1))) == "budget-forked"


def test_a_place_that_knows_less_than_this_side_is_forked(plane, place, week):
    """Its last line is there already, and others after it."""
    body = place.body(week)
    with plane.database.write() as connection:
        mechanism = Mechanism.promising(5, "5", "1e-5", "0.4")
        budget.keep(connection, "tokyo-1", spend(place.lines, later(week, 30), mechanism))

    assert refused(plane, place, body) == "budget-forked"


def test_a_control_plane_from_a_backup_learns_what_it_forgot(plane, place):
    """Spends that only the place remembers count again with its next update."""
    weeks = []
    for n in range(4):
        weeks.append(begin_week(plane) if not n else later(weeks[-1], 1))
        end_week(plane)
        place.send(place.body(weeks[-1], seed=n))
    with plane.database.write() as connection:
        connection.execute(learning_budget.delete())
        connection.execute(learning_updates.delete())
    end_week(plane)
    place.send(place.body(later(weeks[-1], 1)))

    with plane.database.read() as connection:
        lines = budget.lines_of(connection, "tokyo-1")
    assert [line.week for line in lines] == [*weeks, later(weeks[-1], 1)]
    assert spent(lines, range(index_of(weeks[0]), index_of(weeks[0]) + 5)) == 5 * lines[0].rho


@pytest.mark.parametrize("point", ["update-archived", "update-stored"])
def test_crash_while_an_update_is_taken(plane, place, week, point):
    """kill -9 before the commit: nothing is kept and nothing is spent; the same bytes are accepted afterwards."""
    body, before = place.body(week), everything(plane)

    def take_and_die():
        plane.database.engine.dispose(close=False)  # the parent's connections stay the parent's
        arm(point)
        place.send(body)

    child = multiprocessing.get_context("fork").Process(target=take_and_die)
    child.start()
    child.join()

    assert child.exitcode == -signal.SIGKILL
    assert everything(plane) == before
    assert place.send(body).to_json()["verdict"] == "accepted"
