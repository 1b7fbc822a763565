"""Processes that run `jaxdl.main`, forked from a server that has imported everything.

A process started by `python -m jaxdl.main` takes seconds to import jax, flax and orbax. The server
imports them once per test worker and has no backend, so a fork of it is like a new process.
"""

import contextlib
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

PRELOADED = (
    'jaxdl.main',
    'jaxdl.cli.dispatch',
    'jaxdl.ablation.run',
    'jaxdl.finetune.run',
    'jaxdl.inference.commands',
    'jaxdl.theory.demonstration',
    'jaxdl.report',
    'jaxdl.runtime.checkpoint',
    'orbax.checkpoint',
    'sklearn.datasets',
)
CONTEXT = multiprocessing.get_context('forkserver')
CONTEXT.set_forkserver_preload(list(PRELOADED))


def _main(arguments, environment, folder, stdout, stderr):
    """Run in the child: the environment, folder and output of a process of its own."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for path, target in ((stdout, 1), (stderr, 2)):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, target)
        os.close(descriptor)
    sys.stdout = open(1, 'w', encoding='utf-8', closefd=False)  # noqa: SIM115
    sys.stderr = open(2, 'w', encoding='utf-8', closefd=False, buffering=1)  # noqa: SIM115
    sys.argv = ['jaxdl', *arguments]
    from jaxdl import main

    try:
        status = main.main(arguments)
    except KeyboardInterrupt:
        status = 130
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(status)


class Process:
    """A running command; the methods are those of `subprocess.Popen`."""

    def __init__(self, arguments, env=None, cwd=None):
        self._files = [tempfile.mkstemp(prefix='forked-')[1] for _ in range(2)]
        self.args = list(arguments)
        folder = str(cwd or pathlib.Path.cwd())
        settings = (self.args, dict(env or os.environ), folder, *self._files)
        self._process = CONTEXT.Process(target=_main, args=settings)
        self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self):
        """Exit status, negative for a signal; None while the process runs."""
        return self._process.exitcode

    def poll(self):
        """Exit status, or None."""
        return self.returncode

    def wait(self, timeout=None):
        """Wait for the end; TimeoutExpired after `timeout` seconds."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def communicate(self, timeout=None):
        """Wait for the end; standard output and standard error as text."""
        self.wait(timeout)
        texts = []
        for path in self._files:
            with open(path, encoding='utf-8', errors='replace') as file:  # noqa: PTH123
                texts.append(file.read())
            os.unlink(path)  # noqa: PTH108
        return tuple(texts)

    def send_signal(self, number):
        """Send a signal to a process that may have ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self):
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def run(arguments, env=None, cwd=None, timeout=600):
    """Run a command to its end, as `subprocess.run(..., capture_output=True, text=True)`."""
    process = Process(arguments, env, cwd)
    stdout, stderr = process.communicate(timeout)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)
