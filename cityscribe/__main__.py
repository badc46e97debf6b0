"""`cityscribe` and `python -m cityscribe`, which is how torchrun starts it."""

from __future__ import annotations

import signal


def main() -> None:
    """Entry point of the command."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it loads, and has nothing to clean up
    from cityscribe.cli import main as command

    command()


if __name__ == "__main__":
    main()
