"""View selection, visual prompts, questions: from scenarios to the samples that training and prediction read."""
