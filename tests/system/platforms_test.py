"""Other systems: no module or function of POSIX alone, and processes that are spawned."""

import ast
import pathlib
import subprocess
import sys

import pytest
import tiny

import jaxdl

ROOT = pathlib.Path(jaxdl.__file__).parent
MODULES = ('fcntl', 'grp', 'pwd', 'resource', 'termios', 'tty', 'pty', 'syslog')
FUNCTIONS = (
    *('chown', 'fork', 'getgid', 'getloadavg', 'getpgid', 'getuid', 'geteuid', 'killpg', 'mkfifo'),
    *('nice', 'sched_getaffinity', 'setsid', 'statvfs', 'sysconf', 'uname', 'O_DIRECTORY'),
)
SIGNALS = ('SIGKILL', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGCHLD')
# A Python without them, in which a prediction decodes, caches, computes, locks and writes.
WITHOUT = """
import os, sys
import jax, numpy, PIL.Image, psutil, filelock  # these find their own way on each system
for name in {modules!r}:
    sys.modules[name] = None
for name in {functions!r}:
    if hasattr(os, name):
        delattr(os, name)
from jaxdl import main
from jaxdl.runtime import caches, machine
from jaxdl.workdir.lock import lock_workdir
assert caches.folder('images').is_dir()
assert machine.usable_cores() > 0 and machine.available_memory() > 0
with lock_workdir(__import__('pathlib').Path('locked')):
    pass
sys.exit(main.main(['--mode=predict', '--checkpoint=run', '--images=in', '--output=p.csv']))
"""
# The start method of macOS and Windows: a child imports the functions that it runs.
SPAWNED = """
import multiprocessing
from jaxdl.data import Data, load

def count(images):
    return len(load(Data(dataset='folder:in', image_size=8)).images)

if __name__ == '__main__':
    with multiprocessing.get_context('spawn').Pool(2) as pool:
        print(pool.map(count, range(2)))
"""


def guarded(tree):
    """Names that the code asks for by `hasattr` before it uses them."""
    return {
        node.args[1].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ('hasattr', 'getattr')
        and isinstance(node.args[1], ast.Constant)
    }


@pytest.mark.unit
def test_no_module_needs_posix():
    found = []
    for path in sorted(ROOT.rglob('*.py')):
        tree = ast.parse(path.read_text())
        allowed = guarded(tree)
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names if alias.name in MODULES]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module] if node.module in MODULES else []
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                table = dict(os=FUNCTIONS, signal=SIGNALS).get(node.value.id, ())
                names = [node.attr] if node.attr in table and node.attr not in allowed else []
            found += [f'{path.relative_to(ROOT)}: {name}' for name in names]
    assert not found


def run(code, tmp_path):
    (tmp_path / 'script.py').write_text(code)
    return subprocess.run(
        [sys.executable, 'script.py'], capture_output=True, text=True, check=False, timeout=300
    )


def test_a_python_without_posix_predicts(tmp_path):
    tiny.workdir(tmp_path / 'run')
    (tmp_path / 'locked').mkdir()
    tiny.files(tmp_path / 'in', tiny.images(2))
    process = run(WITHOUT.format(modules=MODULES, functions=FUNCTIONS), tmp_path)
    assert process.returncode == 0, process.stderr
    assert len((tmp_path / 'p.csv').read_text().splitlines()) == 3


def test_spawned_processes_load_images(tmp_path):
    for kind in ('cat', 'dog'):
        tiny.files(tmp_path / 'in' / kind, tiny.images(2))
    process = run(SPAWNED, tmp_path)
    assert process.returncode == 0, process.stderr
    assert process.stdout.strip() == '[4, 4]'
