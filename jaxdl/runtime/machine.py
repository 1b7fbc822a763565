"""Cores and memory that this process may use."""

import psutil


def usable_cores() -> int:
    """Logical cores that this process may run on, by its affinity; at least 1."""
    process = psutil.Process()
    if hasattr(process, 'cpu_affinity'):  # not on macOS
        return len(process.cpu_affinity() or ()) or 1
    return psutil.cpu_count() or 1


def available_memory() -> int:
    """Bytes that can be allocated without swapping: free memory and caches that can be dropped."""
    return psutil.virtual_memory().available
