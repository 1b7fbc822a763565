"""Speed benchmarks against other tools.

Every figure is a ratio of one run, the sides alternating in processes of their own.
"""
