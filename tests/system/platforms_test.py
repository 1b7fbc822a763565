"""Other systems: no module or function of POSIX alone."""

import ast
import pathlib

import pytest

import jaxdl

ROOT = pathlib.Path(jaxdl.__file__).parent
MODULES = ('fcntl', 'grp', 'pwd', 'resource', 'termios', 'tty', 'pty', 'syslog')
FUNCTIONS = (
    *('chown', 'fork', 'getgid', 'getloadavg', 'getpgid', 'getuid', 'geteuid', 'killpg', 'mkfifo'),
    *('nice', 'sched_getaffinity', 'setsid', 'statvfs', 'sysconf', 'uname', 'O_DIRECTORY'),
)
SIGNALS = ('SIGKILL', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGCHLD')


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
