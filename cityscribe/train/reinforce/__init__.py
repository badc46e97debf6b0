"""Reinforcement: the model answers, rewards say what its answers are worth, and it learns from that. See `loop`."""
