"""A POP and its render processes: what a lost one changes for visitors, probes and metrics."""

import asyncio
import os
import signal

from runtime_host.pop.images.processes import Limits, RenderProcesses
from runtime_host.pop.images.processes import process as process_module
from tests.runtime_host.pop.edge import ask, make_edge

HERO = "/v1/images/home-hero?w=120"
YES = f"{HERO}&ctx.cat=camping"


def number(page: bytes, name: str) -> float:
    return next(float(line.rpartition(b" ")[2]) for line in page.splitlines() if line.startswith(name.encode()))


def test_a_hot_picture_needs_no_process(tmp_path, catalogue, run):
    """What was rendered once is answered while no process can be started; memory is that of all processes."""

    async def story():
        edge = make_edge(tmp_path, catalogue, parts={"renderers": RenderProcesses(1)})
        await edge.sync()
        cold = await edge.get(HERO)
        page = (await ask(edge.pop.admin_app, "GET", "/metrics")).body
        (pid,) = edge.pop.renderer.pool.pids
        os.kill(pid, signal.SIGKILL)
        hot, yes = await edge.get(HERO), await edge.get(YES, edge.token("contextual"))
        await edge.pop.stop()
        return cold, hot, yes, page

    cold, hot, yes, page = run(story())
    assert cold.fixed == hot.fixed
    assert (cold.status, yes.status) == (200, 200)
    assert yes.body != cold.body
    assert number(page, "consent_edge_renderers{") == 1
    assert number(page, "consent_edge_memory_pss_bytes") > 20_000_000


def test_a_pop_without_renderers_leaves_service_and_comes_back(tmp_path, catalogue, run, monkeypatch):
    """Broken here alone: probes take it out. Once a process starts again it is ready by itself."""

    async def story():
        edge = make_edge(tmp_path, catalogue, parts={"renderers": RenderProcesses(1, Limits(retry_s=0.01))})
        await edge.sync()
        with monkeypatch.context() as broken:
            broken.setattr(process_module, "MODULE", "no_such_program")
            answers = [await edge.get(HERO) for _ in range(4)]
            out = await ask(edge.pop.admin_app, "GET", "/readyz")
        async with asyncio.timeout(60):
            while edge.pop.renderer.pool.dead:  # noqa: ASYNC110 - another process decides when
                await asyncio.sleep(0.01)
        back, shown = await ask(edge.pop.admin_app, "GET", "/readyz"), await edge.get(HERO)
        await edge.pop.stop()
        return answers, out, back, shown

    answers, out, back, shown = run(story())
    assert {answer.status for answer in answers} == {503}
    assert {answer.json()["error"]["code"] for answer in answers} == {"render-pool"}
    assert (out.status, list(out.json()["leave"])) == (503, ["renderers-dead"])
    assert (back.status, back.json()["leave"], shown.status) == (200, {}, 200)
