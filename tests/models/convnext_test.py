"""ConvNeXts: names of the authors' files, features, gradients, norms, groups of parameters."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip('torch')
import torch_references as references  # noqa: E402
from network_pairs import images_of, load, module_of, pair, shapes_of, to_torch  # noqa: E402
from tensors import fill  # noqa: E402

from jaxdl.errors import InputError  # noqa: E402
from jaxdl.models import ARCHITECTURES, load_pretrained, recognise  # noqa: E402
from jaxdl.models.convnext import Block, ResponseNorm  # noqa: E402
from jaxdl.models.network import describe_misfit  # noqa: E402
from jaxdl.models.port import to_tensors, to_variables  # noqa: E402
from jaxdl.models.weights import Weights  # noqa: E402
from jaxdl.train import masks  # noqa: E402

NAMES = ('convnext_atto', 'convnextv2_atto')
quick = functools.partial(jax.jit, compiler_options={'xla_backend_optimization_level': 0})


def close(actual, expected, tolerance=1e-5):
    assert actual.shape == expected.shape
    assert np.abs(np.asarray(actual) - expected).max() < tolerance * np.ptp(expected)


def original(tensors):
    """Tensors as the authors' files have them: their names, dense layers as matrices."""
    words = {
        r'stem\.(\d)': r'downsample_layers.0.\1',
        r'stages\.(\d)\.downsample': r'downsample_layers.\1',
        r'(stages\.\d)\.blocks': r'\1',
        'conv_dw': 'dwconv',
        r'mlp\.fc': 'pwconv',
        r'mlp\.grn\.weight': 'grn.gamma',
        r'mlp\.grn\.bias': 'grn.beta',
        r'head\.(norm|fc)': r'\1',
        '^fc': 'head',
    }
    renamed = {}
    for name, value in tensors.items():
        old = functools.reduce(lambda text, pair: re.sub(*pair, text), words.items(), name)
        value = value[:, :, 0, 0] if '.pwconv' in old and value.ndim == 4 else value
        renamed[old] = value[None, None, None] if '.grn.' in old else value
    return renamed


@pytest.mark.parametrize('name', [*NAMES, 'convnextv2_tiny'])
def test_files_of_the_authors(name):
    tensors = fill(shapes_of(name))
    old = original(tensors)
    assert not tensors.keys() & old.keys() - {k for k in old if re.search('gamma|norm', k)}
    network = recognise.find_network(Weights({f'model.{k}': v for k, v in old.items()}))
    assert network.architecture == name
    assert network.tensors.keys() == tensors.keys()
    for key, value in tensors.items():
        np.testing.assert_array_equal(network.tensors[key], value)


def test_timm_reads_the_names_of_the_authors_alike():
    tensors = fill(shapes_of('convnextv2_atto'))
    timm = references.timm()
    old = {name: torch.tensor(value) for name, value in original(tensors).items()}
    with torch.device('meta'):
        model = timm.create_model('convnextv2_atto', num_classes=10)
    theirs = timm.models.convnext.checkpoint_filter_fn(old, model)
    assert theirs.keys() == tensors.keys()
    for key, value in tensors.items():
        np.testing.assert_array_equal(theirs[key], value)


@pytest.mark.parametrize('name', ['convnext_tiny_hnf', 'convnext_atto_ols', 'convnextv2_large'])
def test_networks_without_a_row(name):
    with torch.device('meta'):
        shapes = references.timm().create_model(name).state_dict()
    tensors = {key: np.broadcast_to(np.float32(0), tuple(v.shape)) for key, v in shapes.items()}
    with pytest.raises(InputError, match=r'no architecture .* convnext\w+ comes nearest'):
        recognise.find_network(Weights(tensors))


@pytest.mark.parametrize('name', NAMES)
def test_features_of_a_file_without_a_head(name, capsys):
    tensors = {k: v for k, v in pair(name)[1].items() if not k.startswith('head.fc')}
    module, variables = load_pretrained(Weights(tensors))
    assert capsys.readouterr().err == ''  # the norm before the head is no head
    assert (module.architecture.name, module.num_classes) == (name, 0)
    network = load(references.timm().create_model(name, num_classes=0).eval(), tensors)
    images = images_of(129, 1)
    with torch.no_grad():
        expected = network(to_torch(images)).numpy()
    actual = quick(module.apply)(variables, images)
    assert actual.shape == (1, 320)
    close(actual, expected)


@pytest.mark.parametrize('name', NAMES)
def test_training_computes_the_same_and_moves_no_statistics(name):
    module, images, variables = module_of(name), images_of(33), pair(name)[2]
    expected = quick(module.apply)(variables, images)
    for norms in (True, ('stem', 'layer1')):
        apply = functools.partial(module.apply, norms=norms, mutable=['batch_stats'])
        logits, changed = quick(apply)(variables, images)
        np.testing.assert_array_equal(logits, expected)
        assert not jax.tree.leaves(changed)


@pytest.mark.parametrize('response', [False, True])
def test_a_block_against_timm(response):
    """In float64, at an odd size, with the norm and the convolution of stride 2 before it."""
    row = ARCHITECTURES['convnextv2_atto' if response else 'convnext_atto']
    stage = references.timm().models.convnext.ConvNeXtStage(
        *(8, 16), depth=1, conv_mlp=True, use_grn=response, norm_layer=norm2d(), norm_layer_cl=None
    )
    if response:
        stage.blocks[0].gamma = None
    tensors = fill({k: tuple(v.shape) for k, v in stage.state_dict().items()})
    load(stage, tensors).double()
    names = {f'stages.1.{k}': v for k, v in tensors.items()}
    images = np.random.default_rng(0).normal(size=(2, 11, 14, 8))
    inputs = torch.tensor(images.transpose(0, 3, 1, 2), requires_grad=True)
    weights = np.random.default_rng(1).normal(size=(2, 5, 7, 16))
    outputs = stage(inputs)
    (outputs * torch.tensor(weights.transpose(0, 3, 1, 2))).sum().backward()
    block = Block(row, 16, 'grouped')
    with jax.enable_x64(True):
        shapes = jax.eval_shape(block.init, jax.random.key(0), images)
        params = as_parameters(shapes['params'], names, row)

        def loss(params, images):
            values = block.apply({'params': params}, images)
            return (values * weights).sum(), values

        gradients, values = quick(jax.grad(loss, (0, 1), has_aux=True))(params, images)
    np.testing.assert_allclose(
        values.transpose(0, 3, 1, 2), outputs.detach().numpy(), rtol=0, atol=1e-12
    )
    expected = inputs.grad.numpy().transpose(0, 2, 3, 1)
    close(gradients[1], expected, 1e-12)
    actual = to_tensors({'params': {'layer2_0': gradients[0]}}, row)
    for name, parameter in stage.named_parameters():
        wanted = parameter.grad.numpy()
        close(actual[f'stages.1.{name}'], wanted, 1e-10)


def norm2d():
    return references.timm().layers.LayerNorm2d


def as_parameters(shapes, tensors, row):
    """Parameters of the first block of the second stage, float64."""
    from flax.traverse_util import flatten_dict, unflatten_dict

    from jaxdl.models.convnext_names import name_of
    from jaxdl.models.port import _to_parameter

    flat = flatten_dict(shapes)
    values = {
        path: _to_parameter(tensors[name_of(('layer2_0', *path), row)], path).astype(np.float64)
        for path in flat
    }
    assert len(values) == len(tensors)
    return unflatten_dict(values)


def test_a_channel_of_zeros_has_a_finite_gradient():
    images = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    images[..., 2] = 0
    params = {'params': dict(scale=jnp.ones(5), bias=jnp.zeros(5))}
    gradient = jax.grad(lambda images: jnp.sum(ResponseNorm().apply(params, images) ** 2))(images)
    assert np.all(np.isfinite(gradient))
    assert np.any(gradient)


def test_images_that_are_too_small():
    module = module_of('convnext_atto')
    for sides in ((31, 40), (40, 31)):
        images = jnp.zeros((1, *sides, 3))
        words = r'image size 31: convnext_atto: must be at least 32 pixels'
        with pytest.raises(InputError, match=words):
            jax.eval_shape(module.init, jax.random.key(0), images)
    assert describe_misfit(module.architecture, 32) == describe_misfit(module.architecture, 0) == ''
    assert describe_misfit(module.architecture, 31)


def test_half_precision_stays_so():
    variables, module = pair('convnextv2_atto')[2], module_of('convnextv2_atto')
    halves = jnp.asarray(images_of(33), jnp.bfloat16)
    shapes = jax.eval_shape(lambda: module.apply(variables, halves, method='feature_map'))
    assert shapes.dtype == jnp.bfloat16
    assert jax.eval_shape(lambda: module.apply(variables, halves)).dtype == jnp.float32


def test_groups_of_parameters():
    params = pair('convnext_atto')[2]['params']
    depths = masks.parts(params)
    assert depths['conv1'] == depths['norm1'] == 0
    assert [depths[name] for name in ('layer1_0', 'layer2_0', 'layer4_1')] == [1, 3, 12]
    assert (depths['norm'], depths['head']) == (12, 13)
    stages = [masks.stage_of(part) for part in ('norm1', 'layer3_1', 'norm')]
    assert stages == ['stem', 'layer3', 'norm']
    frozen = masks.mask_frozen(params, ('stem', 'layer1'))
    parts = {part for part, values in frozen.items() if all(jax.tree.leaves(values))}
    assert parts == {'conv1', 'norm1', 'layer1_0', 'layer1_1'}
    last = masks.mask_last_phase(params)
    parts = {part for part, values in last.items() if any(jax.tree.leaves(values))}
    assert parts == {'norm', 'head'}


def test_the_last_norm_scales_the_features():
    row, variables = ARCHITECTURES['convnext_atto'], pair('convnext_atto')[2]
    assert row.scalable
    params = variables['params']
    half = {name: value / 2 for name, value in params['norm'].items()}
    pool = functools.partial(module_of(row.name).apply, method='pool')
    values = np.random.default_rng(0).normal(size=(2, 3, 4, 320)).astype(np.float32)
    features = pool({'params': params}, values)
    np.testing.assert_allclose(pool({'params': dict(params, norm=half)}, values), features / 2)


def test_dense_layers_of_either_form_fill_a_row():
    tensors = pair('convnext_atto')[1]
    matrices = {
        k: v[:, :, 0, 0] if '.mlp.fc' in k and v.ndim == 4 else v for k, v in tensors.items()
    }
    loaded = recognise.find_network(Weights(matrices))
    jax.tree.map(
        np.testing.assert_array_equal,
        to_variables(loaded.tensors, ARCHITECTURES[loaded.architecture]),
        pair('convnext_atto')[2],
    )
