"""`edge enrol`: a POP on another machine, with a one-time code and without SPIRE."""

from pathlib import Path
from typing import Annotated

import typer

from edge_cli.commands.operate import DEFAULT_CONTROL_PLANE, As, ControlPlane, operator_of
from edge_cli.console import DEFAULT_DATA, DataOption, JsonOption, err, show, when

Pop = Annotated[str, typer.Argument(help="The new POP's id, such as paris-1.")]
Valid = Annotated[int, typer.Option("--valid", min=60, max=86_400, help="Seconds until the code ends.")]
Code = Annotated[
    str, typer.Argument(help="As `edge enrol invite` printed it.", envvar="CONSENT_EDGE_CODE", show_envvar=True)
]
From = Annotated[str, typer.Option("--from", help="The control plane's public listener.")]
Components = Annotated[Path, typer.Option("--components", help="Where the components go.")]
NoComponents = Annotated[bool, typer.Option("--no-components", help="Leave them out: they come from a registry.")]

enrol = typer.Typer(help="A POP on another machine: invite it here, join there.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(enrol, name="enrol")


@enrol.command("invite")
def invite(
    pop: Pop,
    valid: Valid = 900,
    data: DataOption = DEFAULT_DATA,
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    name: As = None,
    as_json: JsonOption = False,
) -> None:
    """Print a one-time code for a POP of that name. An earlier code for it that is still open ends.

    Example: [bold]edge enrol invite paris-1[/bold]
    """
    made = operator_of(data, name, control_plane).post("/v1/enrolments", {"pop": pop, "valid_s": valid})
    show(made, as_json=as_json, text=lambda: made["code"])
    err.print(f"one use, until {when(made['expires_at'])} UTC; there: edge enrol join CODE --from URL", highlight=False)


@enrol.command("join")
def join(
    code: Code,
    public: From = "http://127.0.0.1:7000",
    control_plane: ControlPlane = DEFAULT_CONTROL_PLANE,
    data: DataOption = DEFAULT_DATA,
    components: Components = Path("build/components"),
    no_components: NoComponents = False,
    as_json: JsonOption = False,
) -> None:
    """Make this machine that POP: certificate, trust file, rendition key, components. The code is used up.

    Example: [bold]edge enrol join paris-1.kq3… --from https://control.example \
--control-plane https://control.example:7443[/bold]
    """
    from edge_cli.enrolling import fetch_components
    from edge_cli.enrolling import join as joined_by

    with err.status("joining …") as status:
        joined = joined_by(code, public, data)
        fetched = () if no_components else fetch_components(
            joined, control_plane, components, lambda name: status.update(f"fetching {name} …")
        )  # fmt: skip
    document = {"pop": joined.pop, "spiffe_id": joined.spiffe_id, "components": list(fetched)}
    start = f"edge pop {joined.pop} --data {data} --control-plane {control_plane} --components {components}"
    show(document, as_json=as_json, text=lambda: f"joined as {joined.spiffe_id}\nstart it: {start}")
