"""What places taught becomes a release once, and the next week is taught at it."""

import numpy as np
import pytest
from sqlalchemy import select

from consent_core.errors import ConsentEdgeError
from consent_core.privacy.weeks import later
from control_plane.federated.rounds import find
from control_plane.registry.baking import seed_master, whole_bytes
from control_plane.registry.learning import learn
from control_plane.registry.releases import Releases
from control_plane.store.learning_schema import learning_updates
from tests.control_plane.federated.place import Place, begin_week, end_week, numbers
from tests.control_plane.registry.test_releases import ANN, SEED, TEMPLATE

PLACES = ("tokyo-1", "frankfurt-1", "san-jose-1", "singapore-1")
GAIN = 250 * 0.4 / 4096  # of one grid step, before the divisor


@pytest.fixture
def releases(plane):
    return Releases(plane.settings.home / "releases", plane.keys, plane.settings.clock)


@pytest.fixture
def places(plane):
    return {name: Place(plane, name) for name in PLACES}


def send(places, week, names=PLACES):
    for seed, name in enumerate(names):
        places[name].send(places[name].body(week, seed))


def taught(plane, releases):
    return learn(plane.database, releases, TEMPLATE, SEED, ANN)


def week_of_all(plane, places, names=PLACES):
    week = begin_week(plane)
    end_week(plane)
    send(places, week, names)
    plane.sweep()
    return week


def test_a_week_of_four_places_is_a_release(plane, releases, places):
    """Its weights are the seed's and the step of the sum; its updates are named; its round is done."""
    week = week_of_all(plane, places)
    release = taught(plane, releases)

    master, total = releases.master_of(release), sum(numbers(seed) for seed in range(4))
    assert master["contextual"] == pytest.approx(seed_master(SEED["contextual"]) + GAIN / 4000 * total[:2048])
    assert master["behavioral"] == pytest.approx(seed_master(SEED["behavioral"]) + GAIN / 4000 * total[2048:4096])
    assert releases.weights_of(release) == {name: whole_bytes(row) for name, row in master.items()}
    with plane.database.read() as connection:
        assert find(connection, week).state == "released"
        assert set(release.updates) == set(connection.scalars(select(learning_updates.c.digest)))
    assert release.privacy["updates_show"][2]["guess"] == 0.7002


def test_the_next_week_is_taught_at_the_newest_release(plane, releases, places):
    """An update that was trained at another one is refused."""
    week_of_all(plane, places)
    release = taught(plane, releases)
    week = begin_week(plane)
    end_week(plane)
    place = places["tokyo-1"]

    assert dict(place.update(week).base) == dict.fromkeys(("contextual", "behavioral"), release.release)
    old = Place(plane)
    old.lines = place.lines[:-1]
    with pytest.raises(ConsentEdgeError) as error:
        old.send(old.body(week, base={"contextual": "seed", "behavioral": "seed"}))
    assert error.value.code == "update-base"


def test_an_update_is_used_once(plane, releases, places):
    """Nothing new, no release; nothing of a round that is still open."""
    with pytest.raises(ConsentEdgeError) as error:
        taught(plane, releases)
    assert error.value.code == "release-empty"
    week_of_all(plane, places)
    taught(plane, releases)
    with pytest.raises(ConsentEdgeError):
        taught(plane, releases)
    assert len(releases.all()) == 1


def test_a_round_that_is_open_makes_no_release(plane, releases, places):
    """Three of four have sent, and the fourth has until six o'clock."""
    week = begin_week(plane)
    end_week(plane)
    send(places, week, PLACES[:3])
    with pytest.raises(ConsentEdgeError) as error:
        taught(plane, releases)
    assert error.value.code == "release-empty"


def test_too_few_places_wait_for_the_next_week(plane, releases, places):
    """Two weeks of two places each make one release of four updates."""
    first = begin_week(plane)
    end_week(plane)
    send(places, first, PLACES[:2])
    plane.settings.clock.advance(4 * 3600)
    plane.sweep()
    with pytest.raises(ConsentEdgeError):
        taught(plane, releases)
    second = later(first, 1)
    end_week(plane, hours=7)
    send(places, second, PLACES[:2])
    plane.sweep()

    assert len(taught(plane, releases).updates) == 4


def test_a_late_update_enters_the_next_release(plane, releases, places):
    """Accepted within seven days, after its round was released."""
    week = begin_week(plane)
    end_week(plane)
    send(places, week, PLACES[:3])
    plane.settings.clock.advance(4 * 3600)
    plane.sweep()
    taught(plane, releases)
    places["singapore-1"].send(places["singapore-1"].body(week, 3))
    second = later(week, 1)
    end_week(plane)
    send(places, second, PLACES[:3])
    plane.settings.clock.advance(4 * 3600)
    plane.sweep()

    assert len(taught(plane, releases).updates) == 4


def test_a_rollback_is_the_base_of_what_comes_after(plane, releases, places):
    """Updates of the release that was taken back do not come in again."""
    week_of_all(plane, places)
    first = taught(plane, releases)
    week_of_all(plane, places)
    second = taught(plane, releases)
    back = releases.roll_forward(first.release, TEMPLATE, ANN)
    week_of_all(plane, places, PLACES[:3])
    plane.settings.clock.advance(4 * 3600)
    plane.sweep()
    third = taught(plane, releases)

    assert set(third.updates).isdisjoint({*first.updates, *second.updates})
    step = releases.master_of(third)["contextual"] - releases.master_of(back)["contextual"]
    assert step == pytest.approx(GAIN / 3000 * sum(numbers(seed) for seed in range(3))[:2048])
    assert np.array_equal(releases.master_of(back)["contextual"], releases.master_of(first)["contextual"])
