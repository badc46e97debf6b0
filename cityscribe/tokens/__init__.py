"""Conversations as what a model takes: tokens, positions, trained tokens, and media with content keys.

One encoder for everything that meets a model: training, its check, asking and scoring.
"""
