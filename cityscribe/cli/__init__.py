"""The command line: parse, call, print. Heavy libraries are imported by the command that needs them.

Commands stand in the order in which `cityscribe --help` lists them, which is that of the imports here.
"""

# ruff: noqa: F401, I001

from cityscribe.cli import data, planning, stages, describe, asking, city, service
from cityscribe.cli import listing, scores, judging, benchmarks, benchmarking, probing, building, quantising, privacy
from cityscribe.cli import prompting, mixing, labelling
from cityscribe.cli.shell import app, main

__all__ = ["app", "main"]
