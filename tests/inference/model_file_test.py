"""Model files: read bit by bit on any devices; one line for a damaged file."""

import json
import os
import subprocess
import sys

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
import tiny

from jaxdl.errors import InputError
from jaxdl.finetune import loop
from jaxdl.inference import model_file
from jaxdl.inference.predictor import Predictor
from jaxdl.runtime import checkpoint
from jaxdl.train import averaging, train_step
from jaxdl.train.settings import StepSettings
from jaxdl.workdir import SUMS


def same(one, other):
    return jax.tree.all(jax.tree.map(np.array_equal, one, other))


def test_read_back_bit_by_bit(tmp_path):
    loaded = model_file.load(tiny.workdir(tmp_path / 'run', members=2))
    assert loaded.module == tiny.MODULE
    assert len(loaded.members) == 2
    assert all(same(loaded.members[seed], tiny.variables(seed)) for seed in range(2))
    assert not same(loaded.members[0], loaded.members[1])
    assert loaded.card == tiny.card()


@pytest.mark.system
def test_a_fresh_process_on_other_devices_reads_the_model(tmp_path):
    """Eight devices read what one wrote, and the other way round, where the arrays lay in parts."""
    tiny.workdir(tmp_path / 'run')
    code = """if True:
        import jax, numpy as np, jaxdl
        predictor = jaxdl.Predictor.from_checkpoint('run')
        print(repr(predictor.predict(np.load('images.npy')).probabilities.tolist()))
        from jaxdl.runtime import checkpoint
        mesh = jax.make_mesh((8,), ('data',))
        place = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec('data'))
        tree = dict(split=jax.device_put(np.arange(16.0), place))
        import pathlib
        checkpoint.write_model(pathlib.Path('spread'), tree, dict(devices=jax.device_count()))
    """
    np.save(tmp_path / 'images.npy', tiny.images())
    many = os.environ | dict(JAX_NUM_CPU_DEVICES='8')
    command = [sys.executable, '-W', 'error', '-c', code]
    process = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env=many
    )
    assert (process.returncode, process.stderr) == (0, '')
    here = Predictor.from_checkpoint(tmp_path / 'run').predict(tiny.images()).probabilities
    np.testing.assert_allclose(json.loads(process.stdout), here, atol=1e-5)
    tree, about = checkpoint.read_model(tmp_path / 'spread')
    assert about == dict(devices=8)
    assert isinstance(tree['split'], np.ndarray)
    np.testing.assert_array_equal(tree['split'], np.arange(16.0))


def test_an_interrupted_write_leaves_the_old_model(tmp_path, monkeypatch):
    workdir = tiny.workdir(tmp_path / 'run')
    with monkeypatch.context() as patched:
        patched.setattr(
            ocp.Checkpointer, 'save', lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            tiny.workdir(workdir, temperature=3.0)
    (
        workdir / 'checkpoints' / '.final.new.orbax-checkpoint-tmp'
    ).mkdir()  # what a killed process leaves
    assert model_file.load(workdir).card.temperature == 1.5
    tiny.workdir(workdir, temperature=3.0)
    assert model_file.load(workdir).card.temperature == 3.0
    assert [path.name for path in (workdir / 'checkpoints').iterdir()] == ['final']


def cut(folder):
    largest = max(
        (path for path in folder.rglob('*') if path.is_file()), key=lambda path: path.stat().st_size
    )
    largest.write_bytes(largest.read_bytes()[: largest.stat().st_size // 2])


def changed(folder):
    """One bit of an array, which no reader would notice."""
    largest = max(
        (path for path in folder.rglob('*') if path.is_file()), key=lambda path: path.stat().st_size
    )
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(content)


def without_about(folder):
    (folder / 'about' / 'metadata').unlink()


def without_sums(folder):
    (folder / SUMS).unlink()


@pytest.mark.parametrize('harm', [cut, changed, without_about, without_sums])
def test_damaged(tmp_path, harm):
    workdir = tiny.workdir(tmp_path / 'run')
    harm(workdir / 'checkpoints' / 'final')
    with pytest.raises(InputError, match=r'damaged.*run it again with --overwrite') as caught:
        model_file.load(workdir)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        (None, 'does not exist'),
        ({}, 'holds no run'),
        ({'config.json': dict(kind='Ablation')}, 'an ablation, whose networks only'),
        ({'config.json': dict(kind='Demonstration')}, 'a demonstration, which keeps no networks'),
        ({'config.json': dict(kind='FineTune')}, 'saved no network yet'),
    ],
)
def test_workdirs_without_networks(tmp_path, content, words):
    for name, value in (content or {}).items():
        (tmp_path / 'run').mkdir()
        (tmp_path / 'run' / name).write_text(json.dumps(value))
    if content == {}:
        (tmp_path / 'run').mkdir()
    with pytest.raises(InputError, match=words):
        model_file.load(tmp_path / 'run')


def test_a_file_is_no_workdir(tmp_path):
    (tmp_path / 'weights.npz').touch()
    with pytest.raises(InputError, match='is a file'):
        model_file.load(tmp_path / 'weights.npz')


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        (dict(class_names=['apple', 'tea']), '2 class names for 3 classes'),
        (dict(num_classes=2, class_names=['apple', 'tea']), '3 outputs for 2 classes'),
        (dict(adjustment=[0.1]), '1 adjustments for 3 classes'),
        (dict(architecture='resnet21'), "unknown architecture 'resnet21'.*did you mean .*resnet20"),
        (dict(views='flips'), 'did you mean flip'),
        (dict(temperature='warm'), "temperature='warm': must be a number"),
        (dict(preprocessing=dict(means=0.5)), 'it lacks preprocessing.crop, preprocessing.inter'),
        (dict(preprocessing=[]), 'must be an object of names and values'),
    ],
)
def test_metadata_that_does_not_fit(tmp_path, changes, words):
    checkpoint.write_model(
        tmp_path / model_file.FINAL, {'0000': tiny.variables()}, tiny.metadata(**changes)
    )
    with pytest.raises(InputError, match=words):
        model_file.load(tmp_path)


@pytest.mark.parametrize('key', ['architecture', 'class_names', 'eval_size', 'temperature'])
def test_metadata_that_lacks_a_key(tmp_path, key):
    metadata = {name: value for name, value in tiny.metadata().items() if name != key}
    checkpoint.write_model(tmp_path / model_file.FINAL, {'0000': tiny.variables()}, metadata)
    with pytest.raises(InputError, match=f'it lacks {key}'):
        model_file.load(tmp_path)


def test_a_card_that_does_not_fit_is_not_written(tmp_path):
    with pytest.raises(InputError, match='2 class names for 3 classes'):
        model_file.save(tmp_path, [tiny.variables()], tiny.card(class_names=('apple', 'tea')))
    assert not list(tmp_path.iterdir())


def test_an_unfinished_training_serves_its_averaged_weights(tmp_path):
    keeper = checkpoint.Keeper(tmp_path / model_file.TRAINING / 'finetune', keep=1)
    state = train_step.state_of(tiny.variables(1), StepSettings(), ('ema',))
    average = averaging.update_average(
        state.ema, (tiny.variables(2)['params'], tiny.variables(2)['batch_stats']), 0.9, 0
    )
    keeper.save(
        1,
        dict(state=state.replace(ema=average, step=jax.numpy.ones((), int))),
        tiny.metadata(ema=0.9),
    )
    keeper.close()
    loaded = model_file.load(tmp_path).members[0]
    jax.tree.map(
        lambda *leaves: np.testing.assert_allclose(*leaves, rtol=1e-5), loaded, tiny.variables(2)
    )


def test_between_folds_the_one_with_the_most_steps_serves(tmp_path, capsys):
    checkpoint.write_model(tmp_path / model_file.DONE / 'probe', dict(head=np.zeros(2)), {})
    for fold, step in ((1, 8), (2, 16), (3, 12)):
        fitted = loop.TrainedNetwork(
            f'fold {fold}', np.zeros((1, 2)), 2, step, tiny.variables(fold), dict(train=1.0)
        )
        loop._write_trained(
            tmp_path / model_file.DONE / f'finetune-fold-{fold}', fitted, tiny.card()
        )
    assert same(model_file.load(tmp_path).members[0], tiny.variables(2))
    assert 'taking finetune-fold-2 as it was before step 16' in capsys.readouterr().err
    read = loop._read_trained(tmp_path / model_file.DONE / 'finetune-fold-1')
    assert (read.name, read.epoch, read.step, read.seconds) == ('fold 1', 2, 8, dict(train=1.0))


@pytest.mark.parametrize('final', ['missing', 'damaged'])
def test_the_training_serves_where_the_end_does_not(tmp_path, capsys, final):
    metadata = tiny.metadata(temperature=1.0)
    keeper = checkpoint.Keeper(tmp_path / model_file.TRAINING / 'finetune', keep=2)
    for step in (3, 7):
        state = train_step.state_of(tiny.variables(step), StepSettings())
        keeper.save(step, dict(state=state, progress=dict(sums=np.zeros(3))), metadata)
    keeper.close()
    if final == 'damaged':
        cut(tiny.workdir(tmp_path) / model_file.FINAL)
    loaded = model_file.load(tmp_path)
    err = capsys.readouterr().err
    assert 'taking finetune as it was before step 7' in err
    assert final in err or 'not finished' in err
    assert same(loaded.members[0], tiny.variables(7))
    assert (loaded.card.temperature, loaded.card.adjustment) == (1.0, ())
