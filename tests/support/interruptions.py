"""Runs of an ablation that stop after some epochs, as on a signal or a kill."""

import contextlib
import json

from jaxdl.ablation import run
from jaxdl.runtime import signals


class Killed(BaseException):
    """Ends a run at once; nothing is saved on the way out."""


def count_epochs(folder):
    """Epochs in the journal of a workdir; 0 without one."""
    if not folder.exists():
        return 0
    lines = (folder / 'metrics.jsonl').read_text().splitlines()
    return sum(json.loads(line)['event'] == 'epoch' for line in lines)


def run_until(study, folder, monkeypatch, more, stop, **settings):
    """Run a study until its journal has so many epochs more; `stop` is a signal or Killed."""
    limit = count_epochs(folder) + more

    @contextlib.contextmanager
    def stopped():
        def interrupted():
            if count_epochs(folder) < limit:
                return None
            if stop is Killed:
                raise Killed
            return stop

        yield interrupted

    with monkeypatch.context() as patch:
        patch.setattr(signals, 'defer_signals', stopped)
        run.run(study, folder, **settings)
