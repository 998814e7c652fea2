"""Commands with a name of two words beside one with the first alone: `edge pop NAME` and `edge pop accept-log NAME`."""

from typing import Any

from typer.core import TyperGroup


class TwoWords(TyperGroup):
    """A group that looks for a command by its first two words before it looks for the first alone."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command and what is left of its arguments."""
        name = " ".join(args[:2])
        if len(args) > 1 and name in self.commands:
            return name, self.commands[name], args[2:]
        return super().resolve_command(ctx, args)
