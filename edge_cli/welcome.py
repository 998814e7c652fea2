"""What `edge up` says when everything runs."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table

from simulator.fleet import Fleet, PopSpec


def welcome(fleet: Fleet, specs: Sequence[PopSpec]) -> RenderableType:
    """URLs first (POP 1's before anything else), then each thing to try as a line for the shell."""
    places = Table.grid(padding=(0, 3))
    for spec in specs:
        places.add_row(f"[bold]{fleet.url(spec.pop)}[/]", spec.pop, f"jurisdiction {spec.jurisdiction}")
    places.add_row(fleet.control_plane_url + "/docs", "control plane", "routes")
    return Group(places, "", Panel(_try(fleet, specs[0]), title="try", title_align="left"), "Ctrl-C ends everything.")


def _try(fleet: Fleet, spec: PopSpec) -> str:
    url, admin = fleet.url(spec.pop), fleet.admin_url(spec.pop)
    post = "curl -s -c /tmp/jar -b /tmp/jar -H 'Content-Type: application/json' -H 'Sec-Fetch-Site: same-origin'"
    return "\n".join(
        [
            "[dim]# the shop: toggle consent in the panel, bottom right[/]",
            f"xdg-open {url}/",
            "[dim]# the default decision, as everybody without consent gets it[/]",
            f"curl -s '{url}/v1/slots/home-hero?section=water'",
            "[dim]# say yes, and ask again[/]",
            f'{post} -d \'{{"choices":["contextual"]}}\' {url}/v1/consent',
            f"curl -s -b /tmp/jar '{url}/v1/slots/home-hero?section=water'",
            "[dim]# say no[/]",
            f"{post} -X DELETE -d '{{}}' {url}/v1/consent",
            "[dim]# bytes, with what each step took[/]",
            f"curl -s -b /tmp/jar -D - -o hero.avif -H 'Accept: image/avif' '{url}/v1/images/home-hero?w=1200'",
            "[dim]# metrics[/]",
            f"curl -s {admin}/metrics",
        ]
    )
