"""The command that starts the service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cityscribe.cli.shell import MORE, Overrides, app, console
from cityscribe.cli.stopping import leave_signals_alone
from cityscribe.files import InputError, at_home
from cityscribe.places import RUN, YAML, what_is


@app.command("serve", rich_help_panel=MORE)
def serve_command(
    checkpoint: Annotated[
        str, typer.Argument(help="folder or hub id of a model, or a run folder", metavar="CHECKPOINT|RUN")
    ],
    project: Annotated[Path | None, typer.Option(help="project file; by default, that of the model's run")] = None,
    token_file: Annotated[Path | None, typer.Option(help="file with the token that clients must send")] = None,
    overrides: Overrides = None,
) -> None:
    """Answer over HTTP as OpenAI's API does, describe clips, and show a web page. Needs the extra `serve`.

    Listens on http://127.0.0.1:8080; --set serve.port=0 takes a free port. docs/serve.md has the rest.

    Example: cityscribe serve runs/demo/model
    """
    try:
        import fastapi  # noqa: F401
        import python_multipart  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise InputError("serve: needs more packages: pip install 'cityscribe[serve]'") from error
    leave_signals_alone()
    from cityscribe.cli.targets import settings_to_serve
    from cityscribe.project import checkpoint_of
    from cityscribe.serve.server import read_token, serve

    if project is None and what_is(at_home(checkpoint)) in (RUN, YAML):
        project = Path(checkpoint)
    checkpoint = checkpoint_of(checkpoint)
    settings, drafts = settings_to_serve(checkpoint, project, overrides or [])
    serve(checkpoint, settings, drafts, read_token(token_file), lambda address: console.print(address))
