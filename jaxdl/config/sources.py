"""Hashes of the code of a study: of its file, and of the user's files that it imports.

Comments, docstrings and the layout of a file do not count, nor does its statement `EXPERIMENT =
...`: the value is in config.json.
"""

import ast
import hashlib
import os
import pathlib
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping

WITH_DOCSTRING = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def hash_sources(file: pathlib.Path) -> dict[str, str]:
    """Hash the code of a file and of the user's files that it imports.

    Imports by other means than `import` statements are not found. Installed packages are left out.

    Args:
      file: a Python file.

    Returns:
      Path from the folder of `file` -> SHA-256 of its syntax tree.
    """
    file = file.resolve()
    hashes, waiting = dict[str, str](), [file]
    while waiting:
        path = waiting.pop()
        name = pathlib.Path(os.path.relpath(path, file.parent)).as_posix()
        if name in hashes:
            continue
        content = path.read_bytes()
        try:
            tree = ast.parse(content)
        except (SyntaxError, ValueError):  # no Python
            hashes[name] = hashlib.sha256(content).hexdigest()
            continue
        modules = _find_imported(tree, path, file.parent) if not _is_installed(path) else ()
        waiting += [module for module in modules if not _is_installed(module)]
        hashes[name] = hash_code(tree)
    return dict(sorted(hashes.items()))


def hash_code(tree: ast.Module) -> str:
    """SHA-256 of a syntax tree without docstrings and without the statement `EXPERIMENT = ...`.

    Examples:
      >>> one, other = (ast.parse(f'x = 1;  EXPERIMENT = {i}  # {i}') for i in range(2))
      >>> hash_code(one) == hash_code(other)
      True
    """
    tree.body = [node for node in tree.body if not _is_experiment(node)]
    for node in ast.walk(tree):
        if isinstance(node, WITH_DOCSTRING) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def merge(hashes: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Hashes of several files; different files of one name have their hashes joined."""
    merged: dict[str, set[str]] = {}
    for each in hashes:
        for name, digest in each.items():
            merged.setdefault(name, set()).add(digest)
    return {name: '+'.join(sorted(digests)) for name, digests in sorted(merged.items())}


def _is_experiment(node: ast.stmt) -> bool:
    """Whether a statement sets EXPERIMENT, and registers nothing on the way."""
    if not isinstance(node, ast.Assign | ast.AnnAssign):
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    registers = any(
        isinstance(inner, ast.Attribute) and inner.attr == 'register' for inner in ast.walk(node)
    )
    return names == ['EXPERIMENT'] and len(targets) == 1 and not registers


def _find_imported(
    tree: ast.Module, path: pathlib.Path, folder: pathlib.Path
) -> Iterator[pathlib.Path]:
    """Files that `import` statements of a file load: loaded modules, then files in `folder`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules, base = [alias.name for alias in node.names], None
        elif isinstance(node, ast.ImportFrom):
            parent = node.module or ''
            modules = [f'{parent}.{alias.name}'.strip('.') for alias in node.names]
            base = path.parents[node.level - 1] if node.level else None
        else:
            continue
        for module in modules:
            parts = module.split('.')
            for end in range(1, len(parts) + 1):
                loaded = sys.modules.get('.'.join(parts[:end])) if base is None else None
                place = (base or folder).joinpath(*parts[:end])
                candidates = (place.with_name(f'{place.name}.py'), place / '__init__.py')
                if loaded is not None:
                    candidates = (pathlib.Path(getattr(loaded, '__file__', None) or ''),)
                yield from (each.resolve() for each in candidates if each.is_file())


def _is_installed(path: pathlib.Path) -> bool:
    """Whether a file belongs to an installed package, to Python or to jaxdl."""
    package = pathlib.Path(__file__).parents[1]
    libraries = (package, *(pathlib.Path(sysconfig.get_path(k)) for k in ('stdlib', 'platstdlib')))
    installed = {'site-packages', 'dist-packages'} & {*path.parts}
    return bool(installed) or any(path.is_relative_to(folder) for folder in libraries)
