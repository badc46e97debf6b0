"""The command that lists what settings and options can name."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from cityscribe.cli.shell import MORE, app, console


@app.command("list", rich_help_panel=MORE)
def list_members(
    kind: Annotated[str | None, typer.Argument(help="such as source or tuning; by default, all kinds")] = None,
) -> None:
    """List what can be named in settings and options: the kinds, or the members of one with the paper each is from.

    Example: cityscribe list tuning
    """
    from cityscribe.registry import KINDS, registry

    if kind is None:
        table = Table("kind", "members", "what they are")
        for name in KINDS:
            found = registry(name)
            table.add_row(name, str(len(found)), escape(found.summary))
    else:
        table = Table(kind, "what it is", "paper", "extra", title=escape(registry(kind).summary), title_justify="left")
        for entry in registry(kind).entries():
            table.add_row(entry.name, escape(entry.summary), escape(entry.paper), entry.extra)
    console.print(table)
