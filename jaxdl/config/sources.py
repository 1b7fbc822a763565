"""Hashes of the code of a study: of its file, and of the files that it imports from its folder.

Comments, docstrings and the layout of a file do not count, nor does its statement `EXPERIMENT =
...`: the value is in config.json.
"""

import ast
import hashlib
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping

WITH_DOCSTRING = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def hash_sources(file: pathlib.Path) -> dict[str, str]:
    """Hash the code of a file and of the files that it imports from its folder, or from this one.

    Imports by other means than `import` statements are not found.

    Args:
      file: a Python file.

    Returns:
      Path from the folder of `file` -> SHA-256 of its syntax tree.
    """
    file = file.resolve()
    folders = dict.fromkeys([file.parent, pathlib.Path.cwd()])
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
        if 'site-packages' not in path.parts:
            waiting += _find_imported(tree, path, folders)
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
    tree: ast.Module, path: pathlib.Path, folders: Iterable[pathlib.Path]
) -> Iterator[pathlib.Path]:
    """Files in these folders that `import` statements of a file may load."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules, bases = [alias.name for alias in node.names], folders
        elif isinstance(node, ast.ImportFrom):
            parent = node.module or ''
            modules = [f'{parent}.{alias.name}'.strip('.') for alias in node.names]
            bases = [path.parents[node.level - 1]] if node.level else folders
        else:
            continue
        for base in bases:
            for module in modules:
                yield from _find_files(base, module.split('.'))


def _find_files(folder: pathlib.Path, parts: list[str]) -> Iterator[pathlib.Path]:
    """Files of a module and of the packages around it; none of jaxdl itself."""
    if parts[0] == 'jaxdl':
        return
    for end in range(1, len(parts) + 1):
        place = folder.joinpath(*parts[:end])
        candidates = (place.with_name(f'{place.name}.py'), place / '__init__.py')
        yield from (file.resolve() for file in candidates if file.is_file())
