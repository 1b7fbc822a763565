"""Data sources, one module per form of `--dataset`: each returns a `Listing`."""
