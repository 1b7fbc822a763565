"""Command line: flags, help, one function per mode, and the summary at the end of a run.

May import every other package; only `main` imports it. Interface: `dispatch.run`, which is
`jaxdl.run`.
"""
