"""Training: a collator and a loss each, on the Hugging Face `Trainer`."""
