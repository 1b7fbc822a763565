"""Port of tensors by original names into variables and back; one line for each misfit."""

import pathlib
import re

import jax
import numpy as np
import pytest

torch = pytest.importorskip('torch')
import torch_references as references  # noqa: E402
from network_pairs import images_of, load, pair, shapes_of, to_torch, torch_network  # noqa: E402
from tensors import fill  # noqa: E402

from jaxdl import models  # noqa: E402
from jaxdl.errors import InputError  # noqa: E402
from jaxdl.models import ARCHITECTURES  # noqa: E402
from jaxdl.models.architectures import Preprocessing  # noqa: E402
from jaxdl.models.families import family_of  # noqa: E402
from jaxdl.models.port import parse_preprocessing, to_tensors, to_variables  # noqa: E402

REAL = pathlib.Path(__file__).parents[3] / 'shared' / 'weights'
CIFAR, GLUON = ARCHITECTURES['resnet20'], ARCHITECTURES['resnet50_v2_stage3']


@pytest.fixture(scope='module')
def cifar():
    return fill(shapes_of('resnet20'))


@pytest.mark.parametrize('name', [n for n, row in ARCHITECTURES.items() if row.names == 'timm'])
def test_names_and_shapes_are_those_of_timm(name):
    theirs = torch_network(name).state_dict()
    assert shapes_of(name) == {
        k: tuple(v.shape) for k, v in theirs.items() if not k.endswith('num_batches_tracked')
    }


@pytest.mark.parametrize(
    'name',
    [
        'resnet20',
        'resnet18',
        'resnext50_32x4d',
        'resnet50d',
        'resnet50_v2',
        'ecaresnet26t',
        'tf_efficientnet_lite0',
        'mobilenetv3_small_100',
        'convnext_atto',
        'convnextv2_tiny',
        'vit_small_patch14_reg4_dinov2',
    ],
)
def test_tensors_survive_the_port_in_both_directions(name):
    tensors, variables = pair(name)[1:]
    back = to_tensors(variables, ARCHITECTURES[name])
    assert back.keys() == tensors.keys()
    for key, tensor in tensors.items():
        np.testing.assert_array_equal(back[key], tensor)


@pytest.mark.parametrize('name', ['resnet18', 'resnext50_32x4d'])
def test_written_tensors_load_strictly_into_timm(name):
    network, _, variables = pair(name)
    written = {k: torch.tensor(v) for k, v in to_tensors(variables, ARCHITECTURES[name]).items()}
    fresh = references.timm().create_model(name, num_classes=10).eval()
    fresh.load_state_dict(written, strict=True)
    images = to_torch(images_of(33))
    with torch.no_grad():
        assert torch.equal(fresh(images), network(images))


def test_counters_are_left_and_halves_are_widened(cifar):
    halves = {k: v.astype(np.float16) for k, v in cifar.items()} | {
        'bn1.num_batches_tracked': np.array(7)
    }
    leaves = jax.tree.leaves(to_variables(halves, CIFAR))
    assert {leaf.dtype for leaf in leaves} == {np.dtype(np.float32)}
    assert sum(leaf.size for leaf in leaves) == sum(tensor.size for tensor in cifar.values())


def without(tensors, *names):
    return {k: v for k, v in tensors.items() if k not in names}


MISFITS = [
    (lambda t: without(t, 'layer2.0.bn1.running_var'), '1 unfilled: layer2.0.bn1.running_var'),
    (lambda t: t | {'layer2.0.extra': np.zeros(3)}, '1 unread: layer2.0.extra'),
    (
        lambda t: t | {'conv1.weight': np.zeros((16, 2, 3, 3))},
        r'1 of another shape: conv1.weight \(16, 2, 3, 3\)',
    ),
    (lambda t: without(t, *[k for k in t if 'bn' in k]), '76 unfilled: .*bn1.* and 66 more'),
    (
        lambda t: without(t, 'linear.bias'),
        r"unfilled: linear.bias.*allow_missing=\('head',\) makes a new head",
    ),
    (lambda t: {f'x.{k}': v for k, v in t.items()}, 'unfilled.*; .*unread'),
    (lambda t: {}, 'unfilled'),
]


@pytest.mark.parametrize(('change', 'message'), MISFITS)
def test_misfitting_tensors_are_listed(cifar, change, message):
    with pytest.raises(InputError, match=message) as raised:
        to_variables(change(cifar), CIFAR, 10)
    assert '\n' not in str(raised.value)
    assert 'do not fit resnet20' in str(raised.value)


@pytest.mark.parametrize(
    'tensors', [lambda t: t, lambda t: without(t, 'linear.weight', 'linear.bias')]
)
@pytest.mark.parametrize('classes', [7, 0])
def test_a_new_head(cifar, tensors, classes):
    partial = tensors(cifar)
    if classes and 'linear.bias' in partial:
        with pytest.raises(InputError, match=r'another shape: linear.*new head of 7 classes'):
            to_variables(partial, CIFAR, classes)
    variables = to_variables(partial, CIFAR, classes, ('head',))
    assert ('head' in variables['params']) == bool(classes)
    np.testing.assert_array_equal(
        variables['params']['conv1']['kernel'], cifar['conv1.weight'].transpose(2, 3, 1, 0)
    )
    if classes:
        assert variables['params']['head']['kernel'].shape == (64, 7)
        assert not np.any(variables['params']['head']['kernel'])


def test_a_head_that_fits_stays_though_it_may_be_missing(cifar):
    kernel = to_variables(cifar, CIFAR, 10, ('head',))['params']['head']['kernel']
    np.testing.assert_array_equal(kernel, cifar['linear.weight'].T)


def test_an_allowed_missing_part_is_initialised(cifar):
    partial = without(cifar, *[k for k in cifar if k.startswith('layer3.2')])
    variables = to_variables(partial, CIFAR, allow_missing=('layer3_2',))
    again = to_variables(partial, CIFAR, allow_missing=('layer3_2',))
    kernel = variables['params']['layer3_2']['conv2']['kernel']
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 64)), rel=0.1)
    np.testing.assert_array_equal(kernel, again['params']['layer3_2']['conv2']['kernel'])
    with pytest.raises(
        InputError, match=r"unknown part 'layer3_3' in allow_missing: did you mean layer3_2"
    ):
        to_variables(partial, CIFAR, allow_missing=('layer3_3',))


def test_gluon_whole_and_cut_off():
    tensors = {
        k.replace('resnetv24', 'resnetv27'): v for k, v in fill(shapes_of('resnet50_v2')).items()
    }
    whole = to_variables(tensors, ARCHITECTURES['resnet50_v2'])
    cut = to_variables(tensors, GLUON)
    assert set(whole['params']) - set(cut['params']) == {'layer4_0', 'layer4_1', 'layer4_2', 'head'}
    # The last norm of the one is the first of stage 4 in the other.
    np.testing.assert_array_equal(
        cut['params']['norm']['scale'], whole['params']['layer4_0']['bn1']['scale']
    )
    np.testing.assert_array_equal(
        cut['params']['layer3_5']['conv3']['kernel'], whole['params']['layer3_5']['conv3']['kernel']
    )
    with pytest.raises(InputError, match='stage2_extra'):
        to_variables(tensors | {'resnetv27_stage2_extra': np.zeros(1)}, GLUON)
    with pytest.raises(InputError, match='allow_missing'):
        to_variables(tensors, GLUON, 81)
    assert to_variables(tensors, GLUON, 81, ('head',))['params']['head']['kernel'].shape == (
        1024,
        81,
    )


# Rows whose weights have one publisher; others, such as resnet50, exist with several.
PUBLISHED = [
    name
    for name, row in ARCHITECTURES.items()
    if row.family in ('convnext', 'vit') or 'mobilenetv' in name
]


@pytest.mark.parametrize('name', PUBLISHED)
def test_preprocessing_is_that_of_timm(name):
    row, config = ARCHITECTURES[name], references.timm().get_pretrained_cfg(name)
    expected = Preprocessing(
        config.mean, config.std, config.input_size[-1], config.crop_pct, config.interpolation
    )
    assert row.preprocessing == expected
    first = family_of(row).name_of((row.first_convolution, 'kernel'), row)
    assert (f'{config.first_conv}.weight', config.classifier) == (first, row.head)


def test_preprocessing_travels_with_the_weights():
    usual = ARCHITECTURES['resnet50'].preprocessing
    assert parse_preprocessing({}, usual) == usual == Preprocessing()
    config = dict(
        mean=[0.5] * 3,
        std=[0.25] * 3,
        input_size=[3, 176, 176],
        crop_pct=0.95,
        interpolation='bicubic',
    )
    expected = Preprocessing((0.5,) * 3, (0.25,) * 3, 176, 0.95, 'bicubic')
    assert (
        parse_preprocessing({'architecture': 'resnet50', 'pretrained_cfg': config}, usual)
        == expected
    )
    with pytest.raises(InputError, match=r'config\.json'):
        parse_preprocessing({'pretrained_cfg': {'mean': 'grey'}}, usual)


def test_load_pretrained_from_a_file(tmp_path, cifar):
    np.savez(tmp_path / 'weights.npz', **cifar)
    module, variables = models.load_pretrained(str(tmp_path / 'weights.npz'))
    assert (module.architecture, module.num_classes, module.preprocessing.size) == (CIFAR, 10, 32)
    np.testing.assert_array_equal(variables['params']['head']['bias'], cifar['linear.bias'])
    module, variables = models.load_pretrained(
        str(tmp_path / 'weights.npz'), 'resnet20', ('head',), 3
    )
    assert module.apply(variables, images_of(16)).shape == (2, 3)
    with pytest.raises(
        InputError, match=r'weights .*weights.npz: the tensors do not fit resnet18: .*unfilled'
    ):
        models.load_pretrained(str(tmp_path / 'weights.npz'), 'resnet18')
    with pytest.raises(InputError, match="unknown architecture 'resnet51'"):
        models.load_pretrained(str(tmp_path / 'weights.npz'), 'resnet51')


@pytest.mark.skipif(not REAL.exists(), reason='needs ../shared')
@pytest.mark.parametrize('path', sorted(REAL.glob('resnet*')), ids=lambda path: path.stem)
def test_real_weights(path):
    module, variables = models.load_pretrained(str(path))
    row, images = module.architecture, images_of(96)
    if path.suffix == '.npz':
        network = references.Gluon(dict(np.load(path)), row.stages, 'stage4_batchnorm0', head=False)
    else:
        tensors = torch.load(path, 'cpu', weights_only=True)['state_dict']
        tensors = {
            re.sub('^module.', '', k): v.numpy()
            for k, v in tensors.items()
            if 'num_batches' not in k
        }
        network = load(torch_network(row.name), tensors)
    with torch.no_grad():
        expected = network(to_torch(images)).numpy()
    logits = jax.jit(module.apply)(variables, images)
    assert np.abs(logits - expected).max() < 1e-5 * np.ptp(expected)
