"""Data made better before it is learned from."""
