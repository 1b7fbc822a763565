"""run.json of synthetic runs."""

from typing import Any

from jaxdl.workdir.records import RunRecord, as_json


def make(**changes: Any) -> dict[str, Any]:
    """JSON values of the record of a finished run, with some changed."""
    values = dict(command='', git='', date='2026-11-25', versions={}, device='cpu', finished=True)
    return as_json(RunRecord(**(values | changes)))
