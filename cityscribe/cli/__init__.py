"""The command line: parse, call, print. Heavy libraries are imported by the command that needs them.

Commands stand in the order in which `cityscribe --help` lists them: data, list, stages, scores, judging, benchmarks,
city, building, service, describe.
"""

from cityscribe.cli import data, listing, stages, scores, judging, benchmarks, city, building, service, describe  # noqa: F401, I001  (the order of the help)
from cityscribe.cli.shell import app, main

__all__ = ["app", "main"]
