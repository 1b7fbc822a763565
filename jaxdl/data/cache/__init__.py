"""Cache of decoded images on disk, keyed by content, size and decoder."""
