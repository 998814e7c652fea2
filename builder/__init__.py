"""Python source to signed component.

    results = build(["personalization"], root=Path("."), signer=store.current("component"))

A function is a folder with `app.py` and `function.toml` (`docs/functions.md`). The rooms, in the order work passes:

    source       function.toml and the files that go into the guest
    guest_lint   refuses what a sandbox does not have, by file and line
    toolchain    componentize-py, zig, wasm-tools as separate processes in an empty environment
    gate         the finished component imports nothing and exports exactly its world
    cache        results by the digest of everything they depend on
    release      manifest, signature, and the swap into place
    pipeline     the order of all that, two functions at a time
    report       progress and the closing table
"""

from builder.pipeline import BuildResult, build, buildable

__all__ = ["BuildResult", "build", "buildable"]
