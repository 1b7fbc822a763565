"""What is fast, against what: every figure a ratio of one run, the sides alternating in processes of their own."""
