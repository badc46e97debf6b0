"""View selection, visual prompts, questions: from scenarios to the samples that training and prediction read."""

from cityscribe.prepare.stage import PrepareReport, prepare

__all__ = ["PrepareReport", "prepare"]
