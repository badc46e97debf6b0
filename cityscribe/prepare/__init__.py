"""View selection, visual prompts, questions: from scenarios to the samples that training and prediction read."""

from cityscribe.calls import make_callable

make_callable(__name__, "cityscribe.notebook:prepare")
