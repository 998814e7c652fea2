"""Cache entries: found for the same inputs, not for any other, whole or not at all."""

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from builder import cache, toolchain
from builder.cache import BuildCache, Entry, cache_key, user_cache
from builder.finish import Finished
from builder.gate import Surface
from builder.source import FunctionSource
from consent_core.formats.manifest import Limits

FUNCTION = FunctionSource(
    name="demo",
    directory=Path("functions/demo"),
    description="A test.",
    language="python",
    world="edge-personalization",
    finished_world="edge-personalization",
    compose=(),
    dependencies=(),
    category=(),
    limits=Limits(64, 100),
    toml=b"world = 'edge-personalization'\n",
    files={"app.py": b"x = 1\n"},
    wit={"world.wit": b"package consent-edge:functions@0.1.0;\n"},
)
KEY = cache_key(FUNCTION, "sha256:aa", {"verifier": "bb"})
OTHER = {
    "a source": (replace(FUNCTION, files={"app.py": b"x = 2\n"}), "sha256:aa", {"verifier": "bb"}),
    "a source's name": (replace(FUNCTION, files={"application.py": b"x = 1\n"}), "sha256:aa", {"verifier": "bb"}),
    "one more source": (replace(FUNCTION, files={**FUNCTION.files, "a.py": b""}), "sha256:aa", {"verifier": "bb"}),
    "function.toml": (replace(FUNCTION, toml=b"# changed\n"), "sha256:aa", {"verifier": "bb"}),
    "the contract": (replace(FUNCTION, wit={"world.wit": b"package a:b@0.2.0;\n"}), "sha256:aa", {"verifier": "bb"}),
    "whose instructions it may use": (replace(FUNCTION, wasi=True), "sha256:aa", {"verifier": "bb"}),
    "the lock file": (FUNCTION, "sha256:ab", {"verifier": "bb"}),
    "what is composed in": (FUNCTION, "sha256:aa", {"verifier": "bc"}),
}


def stored(store: BuildCache, key: str = "k1", content: bytes = b"code") -> Entry:
    with store.building(key) as work:
        (work / "a.wasm").write_bytes(content)
        (work / "a.cwasm").write_bytes(b"native " + content)
        (work / cache.BARE).write_bytes(b"bare " + content)
        surface, finished = Surface(("wasi:x/y@0.2.0",), ("e",)), Finished(("link",), {"image": "not today"})
        return store.store(key, work / "a.wasm", work / "a.cwasm", surface, finished)


def test_the_same_inputs_have_the_same_key() -> None:
    """Where a function lies does not matter, nor the order of its files."""
    elsewhere = replace(FUNCTION, directory=Path("elsewhere"), files=dict(reversed(FUNCTION.files.items())))

    assert cache_key(elsewhere, "sha256:aa", {"verifier": "bb"}) == KEY


@pytest.mark.parametrize("inputs", OTHER.values(), ids=OTHER)
def test_a_change_of_any_input_is_another_key(inputs: tuple[FunctionSource, str, dict[str, str]]) -> None:
    """Nothing that goes into a component is left out of its key."""
    assert cache_key(*inputs) != KEY


@pytest.mark.parametrize("tool", toolchain.TOOLS)
def test_another_version_of_any_tool_is_another_key(monkeypatch: pytest.MonkeyPatch, tool: str) -> None:
    """An update of componentize-py, wasm-tools, wasmtime or zig builds again."""
    versions = {**toolchain.tool_versions(), tool: "0.0.0"}
    monkeypatch.setattr(toolchain, "tool_versions", lambda: versions)

    assert cache_key(FUNCTION, "sha256:aa", {"verifier": "bb"}) != KEY


def test_another_engine_is_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Native code for another CPU or engine configuration is another entry."""
    monkeypatch.setattr(cache, "engine_fingerprint", lambda: "another engine")

    assert cache_key(FUNCTION, "sha256:aa", {"verifier": "bb"}) != KEY


def test_what_was_stored_is_found(tmp_path: Path) -> None:
    """An entry comes back as it was put in, also in another process."""
    entry = stored(BuildCache(tmp_path))

    assert BuildCache(tmp_path).find("k1") == entry
    assert entry.finished == Finished(("link",), {"image": "not today"})
    assert (entry.directory / cache.BARE).read_bytes() == b"bare code"
    assert entry.intact()
    assert BuildCache(tmp_path).find("k2") is None


@pytest.mark.parametrize("name", [cache.COMPONENT, cache.COMPILED])
def test_damage_is_seen(tmp_path: Path, name: str) -> None:
    """An entry whose files changed is not used."""
    entry = stored(BuildCache(tmp_path))
    (entry.directory / name).write_bytes(b"other")

    assert not entry.intact()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"component": 1}', '{"compo'])
def test_a_damaged_entry_is_no_entry(tmp_path: Path, text: str) -> None:
    """A half-written or foreign description is as good as none."""
    entry = stored(BuildCache(tmp_path))
    (entry.directory / cache.ENTRY).write_text(text)

    assert BuildCache(tmp_path).find("k1") is None


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """The work directory goes whatever happens inside."""
    store = BuildCache(tmp_path)

    def failing() -> None:
        with store.building("k1") as work:
            (work / "half").write_bytes(b"x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert store.find("k1") is None
    assert list(tmp_path.glob(".building-*")) == []


def test_what_a_killed_builder_left_is_removed_but_not_a_living_ones(tmp_path: Path) -> None:
    """The next builder sweeps by process id."""
    dead = tmp_path / ".building-4194305-x"  # above the largest process id Linux gives
    dead.mkdir()
    (dead / "half").write_bytes(b"x")

    with BuildCache(tmp_path).building("k1") as work:
        BuildCache(tmp_path)

        assert not dead.exists()
        assert work.is_dir()


def test_the_least_recently_used_entries_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache does not grow without end, and what is in use stays."""
    monkeypatch.setattr(cache, "MAX_ENTRIES", 2)
    store = BuildCache(tmp_path)
    for age, key in ((30, "k1"), (20, "k2")):
        os.utime(stored(store, key).directory, (age, age))
    store.find("k1")

    stored(store, "k3")

    assert [store.find(key) is not None for key in ("k1", "k2", "k3")] == [True, False, True]


def test_two_builders_of_one_key_take_turns(tmp_path: Path) -> None:
    """The second waits, and then finds what the first has made."""
    store = BuildCache(tmp_path)
    found: list[Entry | None] = []

    def second() -> None:
        with store.building("k1"):
            found.append(store.find("k1"))

    with store.building("k1") as work:
        waiting = threading.Thread(target=second)
        waiting.start()
        (work / "a").write_bytes(b"code")
        (work / "b").write_bytes(b"native")
        entry = store.store("k1", work / "a", work / "b", Surface((), ()), Finished())
    waiting.join()

    assert found == [entry]


def test_projects_of_a_user_share_what_was_built(tmp_path):
    """Two folders, one cache; nobody else can write to it."""
    home = {"HOME": str(tmp_path / "home")}
    places = {user_cache(tmp_path / name, home) for name in ("first", "second")}
    (place,) = places

    assert place == tmp_path / "home/.cache/consent-edge/functions"
    assert place.stat().st_mode & 0o077 == 0
    assert stored(BuildCache(user_cache(tmp_path / "first", home))) == BuildCache(place).find("k1")


def test_a_cache_folder_is_named_by_the_desktop_standard(tmp_path):
    """An absolute XDG_CACHE_HOME; a relative one is none."""
    home = {"HOME": str(tmp_path / "home")}

    assert user_cache(tmp_path, {**home, "XDG_CACHE_HOME": str(tmp_path / "x")}).is_relative_to(tmp_path / "x")
    assert user_cache(tmp_path, {**home, "XDG_CACHE_HOME": "x"}).is_relative_to(tmp_path / "home")


def test_a_folder_that_others_may_write_to_is_no_cache(tmp_path):
    """What lies there would be signed here; without a home the project has its own too."""
    home = {"HOME": str(tmp_path / "home")}
    user_cache(tmp_path, home).chmod(0o777)
    (tmp_path / "file").touch()

    for environment in (home, {}, {"HOME": str(tmp_path / "file")}):
        assert user_cache(tmp_path / "project", environment) == tmp_path / "project/build/cache"
