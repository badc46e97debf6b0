"""The synthetic city: what happens, where it stands, how it looks, what is true of it, and what is said of it."""
