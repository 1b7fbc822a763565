"""The house: imports point downwards only, and what must not know jax does not."""

import ast
import functools
import pathlib

import pytest

import jaxdl

PACKAGE = pathlib.Path(jaxdl.__file__).parent
FILES = {
    '.'.join(('jaxdl', *path.relative_to(PACKAGE).with_suffix('').parts)).removesuffix('.__init__'): path
    for path in PACKAGE.rglob('*.py')
    if 'experiments' not in path.parts
}
# Each floor may import from its own and from those below it (further down in this list).
FLOORS = [
    {'main'},
    {'running', 'check', 'inference', 'ending', 'usage', 'serving'},
    {'theory', 'outline', 'assignment', 'demonstration', 'handin', 'template', 'advice'},
    {'ablation', 'finetune', 'estimate', 'seeds', 'report', 'progress', 'agreement'},
    {'tables', 'session', 'artifacts', 'probe', 'pretrained', 'fitting', 'predict', 'export', 'shown', 'closing'},
    {'groups', 'outcomes', 'features', 'tta', 'explain'},
    {
        'experiment',
        'register',
        'trials',
        'config',
        'ensemble',
        'claims',
        'chunks',
        'catalogue',
        'protocol',
        'journal',
        'tracking',
        'lowering',
        'probes',
        'pictures',
    },
    {'fine_step', 'snapshot'},
    {'train_step', 'about'},
    {'machine'},
    {'variant', 'statistics', 'components', 'recipe', 'scores', 'submission'},
    {'models', 'optim', 'masks', 'averaging', 'losses', 'augment', 'metrics'}
    | {'keys', 'data', 'results', 'sharding', 'checkpoint', 'memory'},
    {'fields', 'errors', 'workdir', 'members', 'native', 'archives', 'signals', 'processes', 'lock', 'caches'}
    | {'registry'},
]
HEIGHT = {name: len(FLOORS) - i for i, floor in enumerate(FLOORS) for name in floor}
LEAVES = ('data', 'metrics', 'results', 'sharding', 'checkpoint', 'models', 'optim', 'losses', 'augment', 'keys')
LEAVES += ('masks', 'averaging')
GROUND = {'fields', 'errors', 'workdir', 'members', 'native', 'archives', 'signals', 'processes', 'lock', 'caches'}


@functools.cache
def imported(path):
    """Every module that a file imports, in functions too, but for those that only a type checker reads."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path}: relative import'
            names = {f'{node.module}.{alias.name}' for alias in node.names}
            found |= {name if name in FILES else str(node.module) for name in names}
    return found - {'jaxdl'}  # which loads its names when they are used


def noun(module):
    return module.split('.')[1] if '.' in module else ''


@pytest.mark.parametrize('module', [name for name in FILES if name != 'jaxdl'])
def test_imports_point_downwards(module):
    own = noun(module)
    assert own in HEIGHT, f'{module}: give it a floor'
    for other in map(noun, (name for name in imported(FILES[module]) if name.startswith('jaxdl.'))):
        assert HEIGHT[other] <= HEIGHT[own], f'{module} imports {other}, which is above it'
        if own in LEAVES and other != own:
            assert other in GROUND, f'{module} is a leaf, and imports {other}'


def reached(module, seen):
    """All that importing a module of ours imports."""
    for other in imported(FILES[module]):
        if other in FILES and other not in seen:
            seen.add(other)
            reached(other, seen)
        seen.add(other)
    return seen


@pytest.mark.parametrize(
    'module',
    ['jaxdl.report', 'jaxdl.statistics', 'jaxdl.protocol', 'jaxdl.results', 'jaxdl.catalogue', 'jaxdl.submission'],
)
def test_reports_and_statistics_know_no_jax(module):
    outside = {name.split('.')[0] for name in reached(module, set())}
    assert not outside & {'jax', 'jaxlib', 'flax', 'optax', 'orbax', 'grain'}


def test_one_file_knows_orbax():
    assert [name for name, path in FILES.items() if any(m.startswith('orbax') for m in imported(path))] == [
        'jaxdl.checkpoint'
    ]


def test_there_are_no_circles():
    for module in FILES:
        if module not in ('jaxdl', 'jaxdl.report', 'jaxdl.data', 'jaxdl.models'):
            assert module not in reached(module, set()), module


def test_one_place_takes_the_gradient_of_training():
    # The theory takes gradients to check a rule by, and trains by the engine.
    users = [name for name, path in FILES.items() if 'jax.grad(' in path.read_text() and noun(name) != 'theory']
    assert users == ['jaxdl.train_step']
