"""Catalogue of the shipped experiments, read without running them or importing jax."""

import ast
import pathlib
import re


def folder() -> pathlib.Path:
    """Folder of the experiments: inside an installed package, beside the package in a checkout."""
    package = pathlib.Path(__file__).parents[1]
    inside = package / 'experiments'
    return inside if inside.is_dir() else package.parent / 'experiments'


def questions() -> dict[str, str]:
    """Name -> question of every shipped experiment; the question is the first line of its file."""
    questions_by_name = {}
    for path in sorted(folder().glob('[!_]*.py')):
        questions_by_name[path.stem] = (
            ast.get_docstring(ast.parse(path.read_text())) or ''
        ).partition('\n')[0]
    return questions_by_name


def takes(name: str) -> str:
    """Measured time of an experiment, from the line `Takes` of its file; empty without one."""
    path = folder() / f'{name}.py'
    text = ast.get_docstring(ast.parse(path.read_text())) if path.is_file() else ''
    line = re.search(r'^Takes +(.*)$', text or '', re.MULTILINE)
    return line[1] if line else ''
