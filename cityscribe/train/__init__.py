"""Training: a collator and a loss each, on the Hugging Face `Trainer`."""

from cityscribe.calls import make_callable

make_callable(__name__, "cityscribe.notebook:train")
