"""Catalogue of the shipped experiments, read without running them or importing jax."""

import ast
import pathlib
import re

KINDS = dict(  # class of an experiment -> heading of its group in a list
    Ablation='Ablations: the options of one setting, compared over seeds',
    Demonstration='Demonstrations: derivations with predicted and measured values',
    FineTune='Fine-tuning: a pretrained network on your images',
    Assignment='Assignment: all derivations and ablations in one report',
)


def folder() -> pathlib.Path:
    """Folder of the experiments: inside an installed package, beside the package in a checkout."""
    package = pathlib.Path(__file__).parents[1]
    inside = package / 'experiments'
    return inside if inside.is_dir() else package.parent / 'experiments'


def read_questions() -> dict[str, str]:
    """Name -> question of every shipped experiment; the question is the first line of its file."""
    questions_by_name = {}
    for path in sorted(folder().glob('[!_]*.py')):
        questions_by_name[path.stem] = (
            ast.get_docstring(ast.parse(path.read_text())) or ''
        ).partition('\n')[0]
    return questions_by_name


def by_kind() -> dict[str, dict[str, str]]:
    """Class of an experiment -> name and question of each shipped experiment of that class."""
    groups: dict[str, dict[str, str]] = {kind: {} for kind in KINDS}
    for name, question in read_questions().items():
        groups[_kind(name)][name] = question
    return groups


def read_measured_time(name: str) -> str:
    """Measured time of an experiment, from the line `Takes` of its file; empty without one."""
    path = folder() / f'{name}.py'
    text = ast.get_docstring(ast.parse(path.read_text())) if path.is_file() else ''
    line = re.search(r'^Takes +(.*)$', text or '', re.MULTILINE)
    return line[1] if line else ''


def _kind(name: str) -> str:
    """Class of an experiment: the one whose name its EXPERIMENT uses."""
    tree = ast.parse((folder() / f'{name}.py').read_text())
    (value,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == 'EXPERIMENT'
    )
    used = (node.id for node in ast.walk(value) if isinstance(node, ast.Name))
    return next(kind for kind in used if kind in KINDS)
