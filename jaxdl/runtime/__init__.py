"""The machine and the process: devices, processes, checkpoints, signals, progress, trackers.

Provenance, caches.

May import native, workdir, fields and errors. Interface: its modules.
"""
