"""Networks of measured members: kept ones, and ones that are trained again alone."""

import csv
import dataclasses
import json
import re

import huggingface_hub
import jax
import jax.export
import numpy as np
import pytest
import studies
from PIL import Image

import jaxdl
from jaxdl import main as command
from jaxdl.data import load, split
from jaxdl.data.preprocess import to_float
from jaxdl.errors import InputError
from jaxdl.train import initial_weights, losses
from jaxdl.workdir import tables

pytestmark = pytest.mark.engine
SEED = 1001


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A finished study of two poolings and listed seeds with kept networks, one averaged."""
    study = dataclasses.replace(
        studies.small(), options={'max': {}, 'avg': dict(pooling='avg', ema=0.5)}
    )
    folder = tmp_path_factory.mktemp('kept') / 'run'
    jaxdl.run(jaxdl.override(study, {'keep_networks': True, 'seeds': [1003, SEED]}), folder)
    return study, folder


def accuracy(study, network):
    dataset = load(study.data)
    test = split(dataset, study.data).test
    scores = network.scores(dataset.images[test])
    assert scores.sum(1) == pytest.approx(1, abs=1e-5)
    return float((scores.argmax(1) == dataset.labels[test]).mean())


@pytest.mark.parametrize('option', ['max', 'avg'])
@pytest.mark.parametrize('make', [jaxdl.load_member, jaxdl.train_member])
def test_a_network_has_the_accuracy_of_its_member(run, make, option):
    study, folder = run
    network = make(folder, option, SEED)
    rows = tables.read_table(folder / 'results.csv', tables.RESULTS)
    (measured,) = (
        row['value']
        for row in rows
        if (row['phase'], row['option'], row['seed']) == ('measure', option, SEED)
        and (row['split'], row['metric']) == ('test', 'accuracy')
    )
    assert accuracy(study, network) == pytest.approx(measured, abs=1 / 360 + 1e-9)
    assert network.config['option'] == option
    assert network.config['variant']['pooling'] == option
    assert network.config['class_names'] == [str(digit) for digit in range(10)]


def test_listed_seeds_are_measured_and_stated(run):
    _, folder = run
    rows = tables.read_results(folder / 'results.csv')
    assert {row['seed'] for row in rows if row['phase'] == 'measure'} == {SEED, 1003}
    text = (folder / 'report.md').read_text(encoding='utf-8')
    assert '2 (1001, 1003); none of the tuning seeds' in text
    assert 'trained with 2 evaluation seeds' in text


def test_a_network_that_is_trained_again_equals_the_kept_one(run):
    _, folder = run
    kept, again = (make(folder, 'avg', SEED) for make in (jaxdl.load_member, jaxdl.train_member))
    leaves = zip(*(jax.tree.leaves(each.variables) for each in (kept, again)), strict=True)
    for one, other in leaves:
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (('mox', SEED), "unknown option 'mox': did you mean max"),
        (('max', 7), 'seed 7: the evaluation seeds of the study are 1001, 1003'),
        (('max', SEED, 'other'), "unknown condition 'other'"),
    ],
)
def test_members_that_are_not_there(run, arguments, words):
    with pytest.raises(InputError, match=words):
        jaxdl.load_member(run[1], *arguments)


def test_a_run_without_networks_names_both_ways(tmp_path):
    jaxdl.run(studies.small(), tmp_path / 'run')
    with pytest.raises(InputError, match=r'keep_networks=true, or use jaxdl\.train_member'):
        jaxdl.load_member(tmp_path / 'run', 'max', SEED)


def call(mode, folder, *arguments):
    return command.main([f'--mode={mode}', f'--checkpoint={folder}', *arguments])


CHOSEN = ('--set=option=avg', f'--set=seed={SEED}')


def test_predict_takes_a_stored_network(run, tmp_path, capsys):
    study, folder = run
    dataset = load(study.data)
    test = split(dataset, study.data).test[:20]
    pixels = np.rint(255 * to_float(dataset.images[test])).astype(np.uint8)
    (tmp_path / 'in').mkdir()
    for i, image in enumerate(pixels):
        Image.fromarray(image[..., 0]).save(tmp_path / 'in' / f'{i:02}.png')
    output = tmp_path / 'predictions.csv'
    arguments = (f'--images={tmp_path}/in', f'--output={output}')
    assert call('predict', folder, *arguments, '--set=option=max', CHOSEN[1]) == 0
    assert capsys.readouterr().out.startswith('20 predictions: ')
    with output.open(newline='') as file:
        rows = list(csv.reader(file))[1:]
    expected = jaxdl.load_member(folder, 'max', SEED).scores(pixels)
    assert len(np.unique(expected.max(1))) > 10
    assert [row[1] for row in rows] == [str(digit) for digit in expected.argmax(1)]
    likeliest = np.float32([row[2] for row in rows])
    np.testing.assert_allclose(likeliest, expected.max(1), atol=1e-5)
    capsys.readouterr()
    assert call('evaluate', folder, '--dataset=digits') == 2
    assert 'whose networks only --mode=predict and --mode=export take' in capsys.readouterr().err
    for more, words in [
        (('--set=option=avg',), f'{folder} is an ablation .* --set=seed=1000; options: max, avg'),
        ((*CHOSEN[:1], '--set=seed=7'), 'seed 7: the evaluation seeds of the study are 1001, 1003'),
        ((*CHOSEN, '--set=views=flip'), 'views=flip: networks of an ablation have none'),
        ((*CHOSEN, '--set=optin=avg'), "unknown setting 'optin' of --mode=predict: did you mean"),
    ]:
        capsys.readouterr()
        assert call('predict', folder, *arguments, '--overwrite', *more) == 2
        error = capsys.readouterr().err
        assert error.count('\n') == 1
        assert re.search(words, error), error


def test_an_exported_network_computes_the_same_and_initialises_another(run, tmp_path, capsys):
    _, folder = run
    assert call('export', folder, f'--output={tmp_path}/out', *CHOSEN) == 0
    network = jaxdl.load_member(folder, 'avg', SEED)
    images = np.random.default_rng(0).random((5, 8, 8, 1), np.float32)
    content = (tmp_path / 'out' / 'model.stablehlo').read_bytes()
    logits = jax.export.deserialize(bytearray(content)).call(images)
    activation = losses.find(network.variant.loss).activation
    np.testing.assert_allclose(activation(logits), network.scores(images), atol=1e-5)
    config = json.loads((tmp_path / 'out' / 'config.json').read_text())
    assert (config['option'], config['seed'], config['image_shape']) == ('avg', SEED, [8, 8, 1])
    shapes = jax.eval_shape(lambda: network.variables)
    read = initial_weights.read(str(tmp_path / 'out' / 'model.safetensors'), shapes)
    jax.tree.map(np.testing.assert_array_equal, read['params'], network.variables['params'])
    capsys.readouterr()
    assert call('export', folder, f'--output={tmp_path}/out', *CHOSEN) == 2
    assert 'exists: name another --output, or --overwrite' in capsys.readouterr().err


def test_an_exported_network_has_a_model_card_with_its_score(run, tmp_path):
    study, folder = run
    assert call('export', folder, f'--output={tmp_path}/out', *CHOSEN) == 0
    card = huggingface_hub.ModelCard.load(tmp_path / 'out' / 'README.md')
    (result,) = card.data.eval_results
    network = jaxdl.load_member(folder, 'avg', SEED)
    assert result.metric_value == pytest.approx(accuracy(study, network), abs=1 / 360 + 1e-9)
    assert re.fullmatch(
        r'accuracy [\d.]+ % \(95 % interval [\d.]+ to [\d.]+ %\), on \d+ test images in \d+ groups',
        result.metric_name,
    )
    assert re.search(r'Mean accuracy of the option over 2 seeds: 0\.\d+ \(95 % interval', card.text)
    assert card.data.license is None


def test_a_network_is_exported_to_onnx(run, tmp_path, capsys):
    runtime = pytest.importorskip('onnxruntime')
    pytest.importorskip('jax2onnx')
    _, folder = run
    arguments = (f'--output={tmp_path}/out', *CHOSEN, '--set=format=onnx')
    assert call('export', folder, *arguments) == 0
    assert 'model.onnx: checked by onnxruntime' in capsys.readouterr().out
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8)
    session = runtime.InferenceSession((tmp_path / 'out' / 'model.onnx').read_bytes())
    (probabilities,) = session.run(None, dict(images=images))
    expected = jaxdl.load_member(folder, 'avg', SEED).scores(images)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)


def test_a_run_without_networks_cannot_predict(tmp_path, capsys):
    folder = tmp_path / 'run'
    jaxdl.run(jaxdl.override(studies.small(), dict(learning_rates=[0.1], epochs=1)), folder)
    (tmp_path / 'in').mkdir()
    arguments = (f'--images={tmp_path}/in', f'--output={tmp_path}/p.csv')
    assert call('predict', folder, *arguments, '--set=option=avg', '--set=seed=1000') == 2
    assert 'run the study with --set=keep_networks=true' in capsys.readouterr().err
