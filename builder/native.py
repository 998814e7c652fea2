"""`python -m builder.native component.wasm component.cwasm`: compile for the baseline CPU, then exit."""

import sys
from pathlib import Path

from runtime_host.wasm.engine import compile_component


def main(source: str, target: str) -> None:
    """Read a component, write its native code."""
    Path(target).write_bytes(compile_component(Path(source).read_bytes()))


if __name__ == "__main__":
    main(*sys.argv[1:])
