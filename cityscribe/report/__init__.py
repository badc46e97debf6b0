"""The report of a run: one page that holds its scores, curves and sample phases, and needs nothing else to be read."""
