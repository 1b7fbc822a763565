"""Rules on imports that import-linter's contracts in pyproject.toml do not express."""

import ast
import functools
import pathlib
import re

import pytest

import jaxdl

PACKAGE = pathlib.Path(jaxdl.__file__).parent
DESIGN = PACKAGE.parent / 'docs' / 'design.md'
FILES = {
    '.'.join(('jaxdl', *path.relative_to(PACKAGE).with_suffix('').parts)).removesuffix(
        '.__init__'
    ): path
    for path in PACKAGE.rglob('*.py')
    if 'experiments' not in path.parts
}


@functools.cache
def imported(path):
    """Names of all modules that a file imports, inside functions too."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path}: relative import'
            names = {f'{node.module}.{alias.name}' for alias in node.names}
            modules |= {name if name in FILES else str(node.module) for name in names}
    return modules


def test_only_the_checkpoint_module_imports_orbax():
    users = [
        name for name, path in FILES.items() if any(m.startswith('orbax') for m in imported(path))
    ]
    assert users == ['jaxdl.runtime.checkpoint']


def test_only_the_training_step_takes_a_gradient():
    # Theory takes gradients to check derivations.
    users = [
        name
        for name, path in FILES.items()
        if re.search(r'jax\.(value_and_)?grad\(', path.read_text())
    ]
    assert [name for name in users if not name.startswith('jaxdl.theory')] == [
        'jaxdl.train.train_step'
    ]


@pytest.mark.skipif(not DESIGN.exists(), reason='the tests stand alone')
def test_the_design_page_lists_every_package_and_module():
    tree = DESIGN.read_text().partition('## Packages')[2].split('```')[1]
    listed = {name.rstrip('/') for name in re.findall(r'^  (\S+)', tree, re.MULTILINE)}
    entries = {
        path.name
        for path in PACKAGE.iterdir()
        if path.suffix == '.py' or (path / '__init__.py').exists()
    }
    assert listed == entries - {'__init__.py', '_version.py', 'experiments'}
    assert len(entries - {'experiments'}) <= 22


@pytest.mark.skipif(not DESIGN.exists(), reason='the tests stand alone')
def test_the_design_page_shows_the_layers_of_the_contract():
    drawn = DESIGN.read_text().partition('Imports go down only:')[2].split('```')[1]
    contract = (
        (PACKAGE.parent / 'pyproject.toml').read_text().partition('layers = [')[2].partition(']')[0]
    )
    layers = [set(line.split(' | ')) for line in re.findall(r'"(.*)"', contract)]
    assert [set(line.split()) for line in drawn.split('\n') if line] == layers


@pytest.mark.parametrize(
    'package',
    sorted(
        {
            name.split('.')[1]
            for name, path in FILES.items()
            if path.name == '__init__.py' and name != 'jaxdl'
        }
    ),
)
def test_every_package_states_its_purpose_its_imports_and_its_interface(package):
    docstring = ast.get_docstring(ast.parse((PACKAGE / package / '__init__.py').read_text()))
    assert docstring
    assert 'ay import' in docstring
    assert 'Interface:' in docstring
