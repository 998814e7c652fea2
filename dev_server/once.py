"""One request from a file, answered once: what `edge invoke` does."""

from pathlib import Path

from consent_core.clock import SystemClock
from consent_core.errors import Rejected, Untrusted
from consent_core.formats.canonical import read_json_object
from consent_core.trust.trust_file import NO_LOG, TrustFile
from dev_server.workbench import Workbench
from runtime_host.wasm.debug import Invocation, invoke
from runtime_host.wasm.functions import Runner
from runtime_host.wasm.loading import load_component
from runtime_host.wasm.sandbox import SandboxPool

MAX_REQUEST_BYTES = 1_048_576


def invoke_once(name: str, request: Path, root: Path, components: Path | None, data: Path) -> Invocation:
    """Ask the verified component, or the sources themselves where `components` is None.

    Raises: Rejected("invoke-request" | "invoke-unknown" | "invoke-load"), Untrusted("component-…").
    """
    try:
        value = read_json_object(request.read_bytes(), MAX_REQUEST_BYTES)
    except Untrusted as error:
        raise Rejected("invoke-request", f"{request.name}: {error.message}") from error
    runner = _native(root / "functions" / name) if components is None else _component(components / name, data)
    try:
        return invoke(runner, value)
    finally:
        runner.close()


def _native(directory: Path) -> Runner:
    if not (directory / "app.py").is_file():
        raise Rejected("invoke-unknown", f"no functions/{directory.name}/app.py here", status=404)
    bench = Workbench(directory)
    fault = bench.reload()
    if fault is not None or bench.runner is None:
        raise Rejected("invoke-load", f"{fault.message}\n{fault.detail}" if fault else directory.name)
    return bench.runner


def _component(directory: Path, data: Path) -> Runner:
    if not directory.is_dir():
        raise Rejected("invoke-unknown", f"{directory} is not there: edge build {directory.name}", status=404)
    return SandboxPool(load_component(directory, TrustFile.load(data / "trust.json"), SystemClock().now(), NO_LOG))
