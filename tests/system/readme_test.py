"""The README's commands, Python example, links and numbers; the lines of all texts."""

import csv
import io
import pathlib
import re
import shlex

import finetunes
import jax
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

import jaxdl
from jaxdl import main
from jaxdl.models import ARCHITECTURES

TOP = pathlib.Path(__file__).parents[2]
README = TOP / 'README.md'
pytestmark = pytest.mark.skipif(not README.exists(), reason='the tests are run without README.md')
PROGRAM = 'python -m jaxdl.main '
MOST_WORDS = 520
# Flags that make a command of the README small enough for a test.
SMALLER = {
    '--experiment=dropout': ['--quick', '--seeds=2', '--set=epochs=1', '--set=variant.width=2'],
    '--experiment=backprop': ['--quick'],
    '--experiment=finetune': [
        '--set=weights=weights.safetensors',
        '--set=repeats=1',
        '--set=passes=2',
        '--set=learning_rates=[0.1]',
        '--set=weight_decays=[0.01]',
        '--set=probe_size=32',
        '--set=epochs=1',
        '--set=train_size=16',
        '--set=eval_size=16',
    ],
}
SMALL_STUDY = dict(epochs=1, seeds=2, tuning_seeds=1, learning_rates=(0.1,), conv='patches')


def text(name='README.md'):
    return (TOP / name).read_text(encoding='utf-8')


def blocks(language):
    return re.findall(rf'^```{language}\n(.*?)^```', text(), re.DOTALL | re.MULTILINE)


def commands():
    """Commands of the README that start jaxdl, each on one line."""
    lines = [line for block in blocks('sh') for line in block.replace('\\\n', ' ').splitlines()]
    return [line for line in lines if line.startswith(PROGRAM)]


@pytest.fixture
def reader_folder(tmp_path, monkeypatch):
    """A folder with photographs by class and pretrained weights, as the README assumes."""
    finetunes.weights(tmp_path, ARCHITECTURES['resnet20'])
    save_file(dict(np.load(tmp_path / 'weights.npz')), tmp_path / 'weights.safetensors')
    with np.load(finetunes.images(tmp_path, count=40)) as archive:
        images, labels = archive['images'], archive['labels']
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        (tmp_path / 'photos' / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / 'photos' / str(label) / f'{i}.png')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize('experiment', SMALLER)
def test_command_of_each_use(reader_folder, capsys, experiment):
    (command,) = [line for line in commands() if experiment in line]
    words = shlex.split(command.removeprefix(PROGRAM))
    assert main.main([*words, *SMALLER[experiment]]) == 0, capsys.readouterr().err
    report = reader_folder / 'runs' / experiment.partition('=')[2] / 'report.html'
    assert report.stat().st_size > 0


def test_every_command_is_run_by_a_test():
    assert len(commands()) == len(SMALLER)


def test_python_example_prints_the_rows_of_its_table(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = jaxdl.run
    monkeypatch.setattr(
        jaxdl,
        'run',
        lambda study, workdir: run(jaxdl.override(study, SMALL_STUDY), workdir),
        raising=False,
    )
    (block,) = blocks('python')
    with jax.numpy_rank_promotion('allow'):
        exec(block, {})
    printed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    table = re.findall(r'^\| (\w+) \| [\d.]+ % \|', text(), re.MULTILINE)
    assert len(table) == 3
    assert printed[-3:] == table
    with io.StringIO((tmp_path / 'runs/augmentation/summary.csv').read_text()) as file:
        assert [row['option'] for row in csv.DictReader(file)] == table


def test_make_targets_exist():
    makefile = text('Makefile')
    named = set(re.findall(r'`?make ([a-z-]+)', text() + text('CONTRIBUTING.md')))
    assert {'demo', 'test', 'docs'} <= named
    for target in named:
        assert re.search(rf'^{target}\b.*:', makefile, re.MULTILINE) or f' {target}' in makefile, (
            target
        )


@pytest.mark.parametrize('name', ['README.md', 'CONTRIBUTING.md'])
def test_links_exist(name):
    links = re.findall(r'\]\((?!https?:|#)([^)#]+)[^)]*\)', text(name))
    assert links
    assert [link for link in links if not (TOP / link).exists()] == []


def test_tests_named_by_the_security_page_exist():
    names = re.findall(r'`([\w/]+_test\.py)`', text('SECURITY.md'))
    assert names
    assert [name for name in names if not (TOP / 'tests' / name).exists()] == []


def test_readme_is_short():
    assert len(text().split()) <= MOST_WORDS


def test_lines_have_at_most_100_columns():
    suffixes = ('.cc', '.css', '.h', '.jinja', '.js', '.md', '.py')
    folders = ('jaxdl', 'experiments', 'tests', 'benchmarks', 'docs')
    files = [*TOP.glob('*.md'), *(path for name in folders for path in (TOP / name).rglob('*.*'))]
    files = [path for path in files if path.suffix in suffixes]
    assert len(files) > 400
    long = [
        f'{path.relative_to(TOP)}: {line}'
        for path in files
        for line in path.read_text(encoding='utf-8').splitlines()
        # A row of a Markdown table cannot be wrapped, nor a line of a patch.
        if len(line) > 100
        and not (path.suffix == '.md' and line[0] == '|')
        and not (path.name == 'CONTRIBUTING.md' and line[0] in ' +-')
    ]
    assert long == []


def test_number_of_pretrained_networks():
    count = re.search(
        r'^\| jaxdl \| (\d+) CNNs and vision transformers', text('docs/comparison.md'), re.MULTILINE
    )
    assert count
    assert int(count[1]) == len(ARCHITECTURES)


def test_guide_and_list_of_experiments_agree_on_pooling():
    rows = re.findall(
        r'^\| (\w+) \| [\d.]+ \(.*?\) \| (\S+ \(.*?\)) \|', text('docs/guide.md'), re.M
    )
    assert len(rows) == 4
    studies = text('docs/studies.md')
    assert [
        option for option, difference in rows if f'{option} | {difference}' not in studies
    ] == []
