"""The formats that scenarios are read from, one module each.

A source takes the folder of a data set and the wanted splits, and gives the scenarios and the problems that it found; a
check takes the folder and gives all problems, with those that only the videos show.
"""

from __future__ import annotations

from cityscribe.sources.check import check_wts
from cityscribe.sources.wts import read_wts

SOURCES = {"wts": read_wts}
CHECKS = {"wts": check_wts}

__all__ = ["CHECKS", "SOURCES", "check_wts", "read_wts"]
