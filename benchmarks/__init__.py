"""What is fast, against what: every figure a ratio of one run.

The sides alternating in processes of their own.
"""
