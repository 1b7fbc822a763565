"""Report of a fine-tuning run."""
