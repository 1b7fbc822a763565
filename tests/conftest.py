"""Settings of every test: rank promotion raises, and the user's own files stay untouched."""

import atexit
import os
import pathlib
import shutil
import tempfile

os.environ['XDG_CACHE_HOME'] = tempfile.mkdtemp(
    prefix='jaxdl-cache-'
)  # of the lowerings that were timed
os.environ.setdefault('JAX_PLATFORMS', os.environ.get('JAXDL_TEST_PLATFORM', 'cpu'))

# Compiling is most of what the suite costs, and so is done with little effort; with 0 it is as for
# users.
if os.environ.setdefault('JAX_DISABLE_MOST_OPTIMIZATIONS', '1') == '1':
    fusions = '--xla_cpu_use_fusion_emitters=false'  # each is code of its own, compiled by itself
    os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {fusions}'.strip()

# Programs are compiled once for all workers and the processes that they start: many tests repeat a
# command.
if 'JAX_COMPILATION_CACHE_DIR' not in os.environ:  # the first process makes it, and removes it
    os.environ['JAX_COMPILATION_CACHE_DIR'] = tempfile.mkdtemp(prefix='jaxdl-programs-')
    atexit.register(shutil.rmtree, os.environ['JAX_COMPILATION_CACHE_DIR'], ignore_errors=True)
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0')

import jax
import pytest

TESTS = pathlib.Path(__file__).parent
TIERS = ('unit', 'engine', 'system')
# Folders whose tests compile and train small networks.
ENGINE = (
    'ablation',
    'augment',
    'ensemble',
    'finetune',
    'inference',
    'models',
    'native',
    'theory',
    'train',
)

jax.config.update('jax_numpy_rank_promotion', 'raise')


def pytest_collection_modifyitems(items):
    """Mark every test that has no tier of its own with that of its folder, else `unit`."""
    for item in items:
        if not any(item.get_closest_marker(tier) for tier in TIERS):
            folder = item.path.relative_to(TESTS).parts[0]
            item.add_marker(
                'system' if folder == 'system' else 'engine' if folder in ENGINE else 'unit'
            )


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    """Every test works in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope='module', autouse=True)
def _clear_caches():
    """Frees compiled programs after each file: all of them together take 8 GiB per worker."""
    yield
    jax.clear_caches()


@pytest.fixture
def restored_registries():
    """Restores all tables of components after a test that registers some."""
    from jaxdl import register
    from jaxdl.config import registry
    from jaxdl.train import variant

    rows = {kind: dict(table) for kind, table in register.TABLES.items()}
    origins, classes = dict(registry.ORIGINS), dict(variant.CLASSES)
    yield
    for kind, table in register.TABLES.items():
        table.clear()
        table.update(rows[kind])
    for table, before in ((registry.ORIGINS, origins), (variant.CLASSES, classes)):
        table.clear()
        table.update(before)


@pytest.fixture(scope='module')
def tiny_network():
    """The small network of fine-tunings as a row of the table, where it is recognised."""
    import finetunes

    from jaxdl.models import ARCHITECTURES

    ARCHITECTURES[finetunes.NAME] = finetunes.TINY
    yield
    del ARCHITECTURES[finetunes.NAME]


@pytest.fixture(scope='module')
def top(tiny_network, tmp_path_factory):
    """A folder with weights of the small network, and images for it."""
    import finetunes

    folder = tmp_path_factory.mktemp('finetune')
    finetunes.weights(folder)
    finetunes.images(folder)
    return folder
