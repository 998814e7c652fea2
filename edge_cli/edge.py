"""`edge`: build functions, run POPs and the control plane, measure, revoke, verify."""

import sys

import stamina.instrumentation
import typer

from consent_core.errors import ConsentEdgeError
from edge_cli.commands import (
    attest,
    audit,
    build,
    catalogue,
    deploy,
    develop,
    doctor,
    dsar,
    enrol,
    evidence,
    ledger,
    measure,
    operate,
    receipt,
    release,
    restore,
    serve,
    simulate,
    story,
    visitor,
    witness,
)
from edge_cli.console import FAILED, show_error, versioned
from edge_cli.two_words import TwoWords

app = typer.Typer(
    cls=TwoWords,
    help="Personalised images and copy at the edge, with consent you can prove.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)
app.callback()(versioned)
for room in (
    serve,
    build,
    catalogue,
    deploy,
    develop,
    measure,
    operate,
    receipt,
    visitor,
    restore,
    evidence,
    dsar,
    attest,
    ledger,
    release,
    audit,
    enrol,
    doctor,
    simulate,
    story,
    witness,
):
    room.register(app)


def main() -> None:
    """Run a command. Exit code 0: ok; 1: refused, failed or over budget; 2: usage."""
    stamina.instrumentation.set_on_retry_hooks([])  # a retry that succeeds is no news
    try:
        app()
    except ConsentEdgeError as error:
        show_error(error)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
