"""Machine and process: distributed runs, checkpoints, signals, progress, trackers, provenance.

May import native, workdir, fields and errors. Interface: its modules.
"""
