"""Connectors: features on a grid to tokens of the decoder."""
