"""`edge release` on the real component: patched bytes decide as source with those weights does."""

import random
import shutil

import pytest

from consent_core.clock import SystemClock
from consent_core.decision.contract import Candidate, PageContext, Signals
from consent_core.formats.base64_text import write_base64
from consent_core.resources import resource
from consent_core.trust.keys import KeyStore
from consent_core.trust.trust_file import NO_LOG
from control_plane.registry.baking import pack
from runtime_host.wasm.functions import Personalizer
from runtime_host.wasm.loading import load_component
from runtime_host.wasm.native import NativeFunction
from runtime_host.wasm.sandbox import SandboxPool

TAGS = ("tent", "boots", "kayak", "bike", "snow", "forest", "coast", "city", "desert", "camping", "winter")


def weights(seed):
    draws = random.Random(seed)
    return {model: draws.randbytes(2048) for model in ("behavioral", "contextual")}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    KeyStore.open(directory, create=True)
    return directory


@pytest.fixture
def release(edge, data, components):
    """`release("list")` on this data directory and the built component."""

    def run(*arguments, template=False):
        where = ("--component", components["personalization"]) if template else ()
        return edge("release", *arguments, *where, "--data", data, "--json")

    return run


def native(tmp_path, held):
    """The function's source with other weights, run as Python."""
    place = tmp_path / "functions" / "personalization"
    shutil.copytree(resource("functions") / "personalization", place)
    lines = (f'{model.upper()} = "{write_base64(row)}"\n' for model, row in held.items())
    (place / "weights.py").write_text("".join(lines))
    return Personalizer(NativeFunction(place))


def situations(count):
    draws = random.Random(7)
    for _ in range(count):
        offers = tuple(Candidate(f"a{n}", tuple(draws.sample(TAGS, 3)), ("plain", "tent forest")) for n in range(6))
        page = PageContext("/shop", draws.choice(TAGS), tuple(draws.sample(TAGS, 2)), "en")
        yield "home-hero", Signals(page=page), offers, draws.randrange(16)


def test_weights_are_baked_listed_verified_and_rolled_back(release, data, components, tmp_path):
    """The whole life of two releases, with what they decide."""
    for seed in (1, 2):
        path = tmp_path / f"weights-{seed}.bin"
        path.write_bytes(pack(weights(seed)))
        assert release("publish", "--weights", path, "--as", "ann", template=True).json["epoch"] == seed
    first, second = (row["release"] for row in release("list").json)
    home = data / "control-plane" / "releases"

    said = release("verify", home / second, "--template", components["personalization"])
    assert said.json["epoch"] == 2
    back = release("revert", first, "--as", "ann", template=True).json
    assert (back["epoch"], back["reason"], back["parents"]) == (3, "rollback", [second, first])
    refused = release("verify", home / first, "--highest", "3")
    assert (refused.code, refused.json["error"]["code"]) == (1, "release-epoch")
    assert release("verify", home / back["release"], "--highest", "2").code == 0

    trust = KeyStore.open(data).trust_file()
    patched = Personalizer(SandboxPool(load_component(home / second, trust, SystemClock().now(), NO_LOG)))
    source = native(tmp_path, weights(2))
    decided = [(patched.decide(*case), source.decide(*case)) for case in situations(40)]
    assert all(one == other for one, other in decided)
    assert len({one.asset for one, _ in decided}) > 1


def test_a_changed_byte_is_found_offline(release, data, tmp_path):
    """Anywhere in either form of the component."""
    home = data / "control-plane" / "releases"
    newest = release("list").json[-1]["release"]
    copy = tmp_path / newest
    shutil.copytree(home / newest, copy)
    compiled = bytearray((copy / "personalization.cwasm").read_bytes())
    compiled[len(compiled) // 2] ^= 1
    (copy / "personalization.cwasm").write_bytes(compiled)

    assert release("verify", copy).json["error"]["code"] in {"release-template", "release-digest"}


def test_a_folder_that_is_no_release_is_said_to_be_none(release, tmp_path):
    """One code."""
    assert release("verify", tmp_path).json["error"]["code"] == "release-unreadable"
