"""What `edge up` says when everything runs."""

import sys
from collections.abc import Sequence
from shutil import which
from typing import Any

from fleet.processes import Fleet, PopSpec


def places(fleet: Fleet, specs: Sequence[PopSpec]) -> dict[str, Any]:
    """Where everything listens, as `--json` prints it."""
    pops = [{"pop": s.pop, "jurisdiction": s.jurisdiction, "url": fleet.url(s.pop), "admin": fleet.admin_url(s.pop)}
            for s in specs]  # fmt: skip
    return {"pops": pops, "control_plane": fleet.control_plane_url,
            "dashboard": fleet.dashboard_url, "mesh": fleet.mesh_url,
            "witnesses": list(fleet.witnesses)}  # fmt: skip


def welcome(fleet: Fleet, specs: Sequence[PopSpec]) -> str:
    """URLs first (POP 1's before anything else), then each thing to try as a line for the shell."""
    lines = [f"[bold]{fleet.url(spec.pop)}[/]   {spec.pop}, jurisdiction {spec.jurisdiction}" for spec in specs]
    lines.append(f"[bold]{fleet.control_plane_url}/docs[/]   control plane")
    lines.append(f"[bold]{fleet.dashboard_url}[/]   dashboard: speed, POPs, requests, privacy budget, ledger")
    return "\n".join([*lines, "", *_try(fleet, specs[0]), "", "Ctrl-C ends everything."])


def _edge() -> str:
    """How this shell calls the command: by its name if it finds it, else as it was called just now."""
    return "edge" if which("edge") else sys.argv[0]


def _try(fleet: Fleet, spec: PopSpec) -> list[str]:
    url, admin, edge = fleet.url(spec.pop), fleet.admin_url(spec.pop), _edge()
    change = "curl -s -c jar -b jar -H 'Content-Type: application/json' -H 'Sec-Fetch-Site: same-origin'"
    steps = (
        ("the shop: toggle consent in the panel at the bottom", f"xdg-open {url}/"),
        ("the default, as everybody without consent gets it", f"curl -s '{url}/v1/slots/home-hero?section=water'"),
        ("say yes, and ask again", f"{change} -d '{{\"choices\":[\"contextual\"]}}' {url}/v1/consent"),
        ("", f"curl -s -b jar '{url}/v1/slots/home-hero?section=water'"),
        ("the picture, with what each step took", f"curl -s -b jar -D - -o hero.avif -H 'Accept: image/avif' "
         f"'{url}/v1/images/home-hero?w=1200&section=water'"),
        ("the receipt, verified", f"curl -s -b jar {url}/v1/consent | {edge} receipt -"),
        ("say no", f"{change} -X DELETE -d '{{}}' {url}/v1/consent"),
        ("what is on record", f"{edge} audit read {spec.pop}"),
        ("the public ledger, every leaf recomputed, and who cosigned it", f"{edge} ledger verify "
         f"--from {fleet.control_plane_url}"),
        ("metrics", f"curl -s {admin}/metrics"),
    )  # fmt: skip
    lines = []
    for comment, command in steps:
        if comment:
            lines.append(f"[dim]# {comment}[/]")
        lines.append(command)
    return lines
