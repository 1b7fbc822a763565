"""Notebooks: each runs shrunk; stored outputs are complete and independent of a machine."""

import json
import pathlib
import re
import subprocess
import sys

import nbformat
import numpy as np
import pytest
from tensors import fill

import jaxdl
import notebooks

LARGEST = 600_000  # bytes of a file, so that a browser shows it at once
OF_A_MACHINE = re.compile(
    r'(?<![\w.<])/(home|root|tmp|work|Users|usr|opt|mnt|content)/| at 0x[0-9a-f]{6}|\x1b\['
)
QUICK = dict(JAXDL_NOTEBOOK_QUICK='1')

pytestmark = pytest.mark.skipif(not notebooks.FOLDER.is_dir(), reason='the tests stand alone')
every = pytest.mark.parametrize('name', notebooks.NAMES)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == 'code']


def prose(name):
    return [cell.source for cell in notebooks.read(name).cells if cell.cell_type == 'markdown']


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """A file of random weights under the names of CIFAR's ResNet-20."""
    import jax

    from jaxdl.models import ARCHITECTURES
    from jaxdl.models.port import to_tensors
    from jaxdl.models.resnet import ResNet

    architecture = ARCHITECTURES['resnet20']
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), np.float32)
    shapes = jax.eval_shape(
        ResNet(architecture, 10, architecture.preprocessing).init, jax.random.key(0), images
    )
    zeros = jax.tree.map(lambda leaf: np.broadcast_to(np.float32(0), leaf.shape), shapes)
    path = tmp_path_factory.mktemp('weights') / 'resnet20.npz'
    np.savez(
        path,
        **fill({name: tensor.shape for name, tensor in to_tensors(zeros, architecture).items()}),
    )
    return path


@every
def test_a_quick_run_has_the_kinds_of_the_stored_outputs(name, weights, tmp_path):
    notebook = notebooks.clean(
        notebooks.execute(name, tmp_path, JAXDL_NOTEBOOK_WEIGHTS=str(weights), **QUICK)
    )
    for item, stored in zip(code(notebook), code(notebooks.read(name)), strict=True):
        assert kinds(item) == kinds(stored), item.source
    assert 'no evidence' in json.dumps([cell.outputs for cell in code(notebook)])
    assert OF_A_MACHINE.findall(outputs_of(notebook)) == []


def kinds(cell):
    """Kinds of outputs of a cell, without the sentence on a smoke run."""
    outputs = [each for each in cell.outputs if 'this is no evidence' not in str(each)]
    return [sorted(each.get('data', {'printed': ''})) for each in outputs]


def outputs_of(notebook):
    return '\n'.join(json.dumps(cell.outputs, ensure_ascii=False) for cell in code(notebook))


@every
def test_stored_notebooks_are_complete_and_name_no_machine(name):
    path, stored = notebooks.FOLDER / f'{name}.ipynb', notebooks.read(name)
    nbformat.validate(stored)
    assert path.stat().st_size < LARGEST
    assert [cell.execution_count for cell in code(stored)] == list(range(1, len(code(stored)) + 1))
    assert not [
        each for cell in code(stored) for each in cell.outputs if each.output_type == 'error'
    ]
    assert OF_A_MACHINE.findall(outputs_of(stored)) == []
    assert notebooks.clean(notebooks.read(name)) == stored


@every
def test_links_lead_to_files(name):
    links = re.findall(r'\]\(([^)]+)\)', '\n'.join(prose(name)))
    assert [link for link in links if not (notebooks.FOLDER / link).is_file()] == []


def test_the_questions_come_in_the_assignments_order():
    parts = list(jaxdl.load_experiment('assignment').parts)
    headings = re.findall(r'^## (.+)$', '\n'.join(prose('assignment')), re.MULTILINE)
    assert headings[: len(parts)] == parts
    texts = set(re.findall(r'theory/(\w+)/text\.md', '\n'.join(prose('assignment'))))
    folder = notebooks.FOLDER.parent / 'jaxdl' / 'theory'
    assert texts == {path.parent.name for path in folder.glob('*/text.md')}


def test_both_notebooks_begin_with_the_same_cells():
    first, second = (code(notebooks.read(name))[:2] for name in notebooks.NAMES)
    assert [cell.source for cell in first] == [cell.source for cell in second]


@pytest.mark.parametrize('start', ['.', 'jaxdl', 'jaxdl/notebooks'])
def test_the_repository_is_found_where_colab_has_it_and_from_within(start, tmp_path):
    """A folder content/jaxdl: seen from content/ it looks like a package to Python, and is none."""
    package = tmp_path / 'content' / 'jaxdl' / 'jaxdl'
    (package.parent / 'notebooks').mkdir(parents=True)
    package.mkdir()
    (package / '__init__.py').touch()
    (package.parent / 'pyproject.toml').touch()
    source = code(notebooks.read('assignment'))[0].source
    program = f'{source}\nprint(checkout(pathlib.Path.cwd()))\nprint(REPOSITORY)'
    lines = asked(program, tmp_path / 'content' / start)
    assert pathlib.Path(lines[0]) == package.parent
    assert lines[1] == (
        str(package.parent) if start != 'jaxdl' else 'None'
    )  # in its own folder it is imported as it is


def test_a_missing_repository_is_reported_with_a_remedy(tmp_path):
    with pytest.raises(subprocess.CalledProcessError) as caught:
        asked(code(notebooks.read('assignment'))[0].source, tmp_path)
    assert 'upload or clone' in caught.value.stderr


def asked(program, folder):
    """Output of a Python in a folder with nothing installed but the folder on the path."""
    command = [sys.executable, '-S', '-E', '-c', program]
    process = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return process.stdout.split()
