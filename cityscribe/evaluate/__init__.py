"""Scores for predictions, by the rules of a named profile.

A profile is a function of references and predictions. Adding one is adding a module and an entry here.
"""

from __future__ import annotations

from cityscribe.evaluate.wts import Scores, evaluate_wts, score_caption

PROFILES = {"wts": evaluate_wts}

__all__ = ["PROFILES", "Scores", "evaluate_wts", "score_caption"]
