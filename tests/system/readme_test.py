"""The README's commands do what it says, as they stand; its links lead somewhere.

Its figures are those of the docs.
"""

import pathlib
import re
import shlex

import finetunes
import numpy as np
import pytest
from PIL import Image

from jaxdl import main
from jaxdl.models import ARCHITECTURES
from tests.system.killed_test import weights

TOP = pathlib.Path(__file__).parents[2]
README = TOP / 'README.md'
pytestmark = pytest.mark.skipif(not README.exists(), reason='the tests stand alone')
OURS = '.venv/bin/python -m jaxdl.main '
# So that a path takes a test's time: what the reader's own files and patience decide.
SMALLER = {
    '--experiment=backprop': ['--quick'],
    '--experiment=vanishing_gradients': ['--quick'],
    '--experiment=probe': [
        '--set=repeats=1',
        '--set=passes=2',
        '--set=learning_rates=[0.1]',
        '--set=probe_size=32',
        '--set=weight_decays=[0.01]',
    ],
    '--experiment=my_study.py': ['--quick', '--seeds=2', '--set=epochs=1'],
}

LEFT = (
    ['runs/backprop/report.html', 'runs/vanishing_gradients/report.html'],
    ['runs/probe/report.html', 'predictions.csv'],
    ['my_study.py', 'runs/my_study/report.html'],
)


def text():
    return README.read_text(encoding='utf-8')


def paths():
    """Of each of the three paths its commands, without comments."""
    (section,) = re.findall(r'^## Three short paths\n(.*?)^## ', text(), re.DOTALL | re.MULTILINE)
    blocks = re.findall(r'^```sh\n(.*?)^```', section, re.DOTALL | re.MULTILINE)
    return [[line.partition('  #')[0].strip() for line in block.splitlines()] for block in blocks]


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """A folder with the files of the reader: photographs by class, new ones, weights."""
    top = tmp_path_factory.mktemp('readme')
    weights(top)
    finetunes.images(top, count=40)
    held = np.load(top / 'images.npz')
    from safetensors.numpy import save_file

    save_file(dict(np.load(top / 'weights.npz')), top / 'weights.safetensors')
    for i, (image, label) in enumerate(zip(held['images'], held['labels'], strict=True)):
        for folder in (f'photos/{label}', *(['new_photos'] if i < 3 else [])):
            (top / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(top / folder / f'{i}.png')
    return top


@pytest.mark.parametrize('number', range(3))
def test_a_path_is_walked_as_it_stands(place, monkeypatch, capsys, number):
    monkeypatch.chdir(place)
    commands = paths()[number]
    assert len(paths()) == 3
    for command in commands:
        assert command.startswith(OURS), command
        words = shlex.split(command.removeprefix(OURS))
        more = SMALLER.get(words[0], []) if '--mode=plan' not in words else []
        assert main.main([*words, *more]) == 0, capsys.readouterr().err
    assert all((place / name).stat().st_size > 0 for name in LEFT[number])


def test_make_targets_exist():
    makefile = (TOP / 'Makefile').read_text()
    named = set(re.findall(r'`?make ([a-z-]+)', text() + (TOP / 'CONTRIBUTING.md').read_text()))
    assert {'demo', 'test', 'docs'} <= named
    for target in named:
        assert re.search(rf'^{target}\b.*:', makefile, re.MULTILINE) or f' {target}' in makefile, (
            target
        )


@pytest.mark.parametrize('name', ['README.md', 'CONTRIBUTING.md'])
def test_links_lead_somewhere(name):
    links = re.findall(
        r'\]\((?!https?:|#)([^)#]+)[^)]*\)', (TOP / name).read_text(encoding='utf-8')
    )
    assert links
    assert [link for link in links if not (TOP / link).exists()] == []


def test_what_it_counts_is_so():
    counted = re.search(r'\| pretrained weights \| (\d+) ResNets', text())
    assert counted
    assert int(counted[1]) == len(ARCHITECTURES)
    studies = (TOP / 'docs' / 'studies.md').read_text(encoding='utf-8')
    for difference in (
        '+0.69 (+0.29 to +1.09)',
        '+0.56 (+0.18 to +0.93)',
        '+0.81 (+0.28 to +1.33)',
        '-0.67 (-0.90 to -0.43)',
    ):
        assert difference.partition(' ')[2] in text()
        assert difference in studies
