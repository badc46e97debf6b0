"""Scores for predictions, by the rules of a named profile (`registries.PROFILES`)."""
