"""The command that starts the service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cityscribe.cli.shell import Overrides, app, console, leave_signals_alone
from cityscribe.files import InputError


@app.command("serve")
def serve_command(
    checkpoint: Annotated[str, typer.Argument(help="folder or hub id of a model", metavar="CHECKPOINT")],
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
    from cityscribe.serve.server import read_token, serve

    settings, drafts = settings_to_serve(checkpoint, project, overrides or [])
    serve(checkpoint, settings, drafts, read_token(token_file), lambda address: console.print(address))
