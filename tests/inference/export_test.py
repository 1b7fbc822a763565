"""Exported networks: read by timm and by jaxdl; the program runs without jaxdl."""

import functools
import json
import pathlib
import subprocess
import sys

import huggingface_hub
import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from jaxdl import models
from jaxdl.errors import InputError
from jaxdl.inference import export as exporting
from jaxdl.inference.model_file import SavedModel
from jaxdl.models import ARCHITECTURES
from jaxdl.models.architectures import Preprocessing
from jaxdl.models.port import to_tensors
from jaxdl.models.resnet import ResNet
from jaxdl.workdir.records import ModelCard, as_json

SIZE = 24
PREPARED = Preprocessing((0.5, 0.4, 0.3), (0.2, 0.25, 0.3), SIZE, 0.75, 'bicubic')
NAMES = ('apple', 'banana', 'crème fraîche')
RUN = """
import sys
import jax, jax.export
import numpy as np
model = jax.export.deserialize(bytearray(open('model.stablehlo', 'rb').read()))
for images in ('one', 'three'):
    np.save(images + '_found.npy', model.call(np.load(images + '.npy')))
assert not {'jaxdl', 'flax'} & set(sys.modules)
assert model.platforms == ('cpu', 'cuda')
"""


def card_of(module, **changes):
    settings = dict(
        architecture=module.architecture.name,
        num_classes=module.num_classes,
        class_names=NAMES,
        preprocessing=module.preprocessing,
        eval_size=SIZE,
        views='none',
        temperature=1.0,
        adjustment=(),
        weights='timm/resnet18.a1_in1k',
    )
    return ModelCard(**settings | changes)


def network(name, classes=3, seed=0):
    """A module and variables of which no two numbers are alike."""
    row = ARCHITECTURES[name]
    module, rng = ResNet(row, classes, PREPARED), np.random.default_rng(seed)
    shapes = jax.eval_shape(
        module.init, jax.random.key(0), jax.ShapeDtypeStruct((1, SIZE, SIZE, 3), np.float32)
    )

    def value(leaf):
        if len(leaf.shape) == 1:
            return rng.uniform(0.3, 1, leaf.shape).astype(np.float32)
        return rng.standard_normal(leaf.shape, np.float32) * np.float32(
            np.sqrt(2 / np.prod(leaf.shape[:-1]))
        )

    return module, jax.tree.map(value, shapes)


def export(module, variables, folder, size=SIZE, **changes):
    model = SavedModel(module, (variables,), card_of(module, **changes))
    return exporting.export(model, folder, size)[0]


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """A CIFAR network, its variables and the folder that it was exported into."""
    folder = tmp_path_factory.mktemp('export') / 'deep' / 'er'
    module, variables = network('resnet20')
    paths = export(module, variables, folder)
    assert sorted(paths) == sorted(folder.iterdir())  # nothing half written beside them
    return module, variables, folder


def same(actual, expected):
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, actual, expected)


def test_jaxdl_reads_it_again(exported):
    module, variables, folder = exported
    again, loaded = models.load_pretrained(str(folder))
    assert again == module
    same(loaded, variables)


@pytest.mark.parametrize(
    ('name', 'classes'), [('resnet50_v2_stage3', 3), ('resnet50_v2_stage3', 0), ('resnet18', 0)]
)
def test_other_names_with_and_without_a_head_are_known_again(name, classes, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, 'program', lambda *_: b'')
    module, variables = network(name, classes)
    export(module, variables, tmp_path, class_names=())
    (tmp_path / 'config.json').unlink()  # by the tensors alone
    again, loaded = models.load_pretrained(str(tmp_path))
    assert (again.architecture, again.num_classes) == (module.architecture, classes)
    same(loaded, variables)


def test_the_logit_adjustment_is_in_the_exported_bias(exported, tmp_path, monkeypatch):
    module, variables, _ = exported
    monkeypatch.setattr(exporting, 'program', lambda *_: b'')
    export(module, variables, tmp_path, adjustment=(0.5, 0.0, -1.0))
    head = models.load_pretrained(str(tmp_path))[1]['params']['head']
    np.testing.assert_allclose(
        head['bias'], variables['params']['head']['bias'] - np.float32([0.5, 0, -1])
    )
    np.testing.assert_array_equal(head['kernel'], variables['params']['head']['kernel'])


@pytest.mark.system
def test_the_program_runs_without_jaxdl(exported):
    module, variables, folder = exported
    images = np.random.default_rng(1).uniform(size=(3, SIZE, SIZE, 3)).astype(np.float32)
    np.save(folder / 'one.npy', images[:1])
    np.save(folder / 'three.npy', images)
    subprocess.run([sys.executable, '-c', RUN], cwd=folder, check=True)
    normalised = (images - np.array(PREPARED.mean, np.float32)[None, None, None]) / np.array(
        PREPARED.std, np.float32
    )[None, None, None]
    expected = np.asarray(jax.jit(module.apply)(variables, normalised))
    one, three = (np.load(folder / f'{name}_found.npy') for name in ('one', 'three'))
    assert three.dtype == np.float32
    assert np.abs(three - expected).max() < 1e-5 * np.ptp(expected)
    assert np.abs(one - expected[:1]).max() < 1e-5 * np.ptp(expected)


@pytest.mark.parametrize('name', ['resnet50d', 'resnext50_32x4d', 'resnet50_v2_stage3'])
def test_no_program_has_a_call_to_our_native_part(name, monkeypatch):
    exports = {}
    monkeypatch.setattr(
        exporting.stablehlo,
        'export',
        lambda f, platforms: functools.partial(traced, exports, f, platforms),
    )
    module, variables = network(name)
    exporting.program(module, variables, 33)
    assert 'custom_call' not in exports['text'].replace('custom_call @shape_assertion', '')
    assert 'jaxdl' not in exports['text']


def traced(exports, function, platforms, images):
    """Replacement of `jax.export.export` that keeps the text without weights, for speed."""
    whole = jax.jit(function).trace(images)
    exports['text'] = whole.lower(lowering_platforms=platforms).as_text()
    return type('Exported', (), dict(serialize=lambda _: b''))()


def test_config_is_the_one_that_timm_reads(exported):
    config = json.loads((exported[2] / 'config.json').read_text())
    assert (config['architecture'], config['num_classes'], config['num_features']) == (
        'resnet20',
        3,
        64,
    )
    assert config['label_names'] == config['pretrained_cfg']['label_names'] == list(NAMES)
    assert config['pretrained_cfg']['input_size'] == [3, SIZE, SIZE]
    expected = as_json(card_of(exported[0]))
    del expected['class_names']
    assert config['jaxdl'] == json.loads(json.dumps(expected))


def test_timm_loads_the_folder_with_equal_outputs(tmp_path, monkeypatch):
    torch = pytest.importorskip('torch')
    import torch_references

    timm = torch_references.timm()
    monkeypatch.setattr(exporting, 'program', lambda *_: b'')
    module, variables = network('resnet18')
    export(module, variables, tmp_path, 40)
    model = timm.create_model(f'local-dir:{tmp_path}', pretrained=True).eval()
    config = model.pretrained_cfg
    assert (config['mean'], config['std']) == (list(PREPARED.mean), list(PREPARED.std))
    assert (config['crop_pct'], config['interpolation'], config['input_size'][-1]) == (
        0.75,
        'bicubic',
        40,
    )
    assert config['label_names'] == list(NAMES)
    strict = timm.create_model('resnet18', num_classes=3).eval()
    state = {k: torch.tensor(v) for k, v in load_file(tmp_path / 'model.safetensors').items()}
    strict.load_state_dict(state, strict=True)
    images = np.random.default_rng(0).normal(size=(2, 40, 40, 3)).astype(np.float32)
    expected = np.asarray(jax.jit(module.apply)(variables, images))
    for network_ in (model, strict):
        with torch.no_grad():
            actual = network_(torch.tensor(images.transpose(0, 3, 1, 2))).numpy()
        assert np.abs(actual - expected).max() < 1e-5 * np.ptp(expected)


def test_the_loading_instructions_work(exported):
    text = (exported[2] / 'README.md').read_text()
    for code in text.split('```python\n')[1:]:
        lines = code.split('```')[0].replace('FOLDER', str(exported[2])).splitlines()
        assert len(lines) <= 3
        if 'torch' in lines[0]:
            pytest.importorskip('torch')
        names = dict(images=np.zeros((2, SIZE, SIZE, 3), np.float32))
        exec('\n'.join(lines), names)
        if 'state_dict' in names:
            tensors = {k: v.numpy() for k, v in names['state_dict'].items()}
            same(tensors, to_tensors(exported[1], ARCHITECTURES['resnet20']))
        else:
            assert names['outputs'].shape == (2, 3)


def test_bad_input_is_refused_and_nothing_is_written(exported, tmp_path):
    module, variables, _ = exported
    with pytest.raises(InputError, match='2 class names for the 3 outputs'):
        export(module, variables, tmp_path / 'out', class_names=('a', 'b'))
    assert not (tmp_path / 'out').exists()
    (tmp_path / 'file').touch()
    with pytest.raises(
        InputError, match=r'output .*file cannot be written .*: name another folder'
    ):
        export(module, variables, pathlib.Path('file'))


SCORES = dict(
    accuracy=0.8625,
    macro_f1=0.85,
    ece=0.08,
    ece_calibrated=0.021,
    split='test',
    images=363,
    groups=95,
    networks=1,
    intervals=dict(accuracy=[0.81, 0.903]),
)


def test_the_model_card_has_the_score_with_its_interval(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, 'program', lambda *_: b'')
    module, variables = network('resnet18')
    export(
        module,
        variables,
        tmp_path,
        scores=SCORES,
        data='folder:/home/someone/photos',
        weights_licence='Apache-2.0',
        revision='0123abc',
        temperature=1.25,
        views='flip',
        experiment='finetune',
    )
    card = huggingface_hub.ModelCard.load(tmp_path / 'README.md')
    metadata = card.data.to_dict()
    assert (metadata['license'], metadata['library_name']) == ('apache-2.0', 'timm')
    assert metadata['base_model'] == 'timm/resnet18.a1_in1k'
    accuracy, macro_f1 = card.data.eval_results
    assert (accuracy.metric_type, accuracy.metric_value) == ('accuracy', 0.8625)
    assert accuracy.metric_name == (
        'accuracy 86.2 % (95 % interval 81.0 to 90.3 %), on 363 test images in 95 groups'
    )
    assert (macro_f1.metric_type, macro_f1.dataset_name) == ('macro_f1', 'folder:photos')
    text = ' '.join(card.text.split())
    assert 'Accuracy 86.2 % (95 % interval 81.0 to 90.3 %), macro F1 85.0 %, on 363 test' in text
    assert 'softmax(z / 1.25)' in text
    assert '8.0 % without and 2.1 % with this temperature' in text
    assert 'someone' not in card.content
    assert 'also selected' not in text


def test_a_model_card_without_score_or_licence_says_so(exported):
    card = huggingface_hub.ModelCard.load(exported[2] / 'README.md')
    assert (card.data.license, card.data.library_name) == ('unknown', 'jaxdl')
    assert card.data.eval_results is None
    text = ' '.join(card.text.split())
    assert 'No score of held-out images is stored' in text
    assert 'ask the publisher of the weights' in text
