"""Benchmarks of driving and of traffic, a module each: the layout of the data set and its official rule.

Fixtures of the tests hold values of our own in these layouts. What a rule gave on them, run beside ours, stands in the
tests with the commit of the scorer.
"""
