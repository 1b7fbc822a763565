"""Checkpoints as training scripts write them: containers, prefixes, other objects, other heads."""

import argparse
import collections
import datetime
import itertools
import pathlib
import pickle
import sys
import types

import numpy as np
import pytest
from safetensors.numpy import save_file

torch = pytest.importorskip('torch')
import torch_references as references  # noqa: E402
from network_pairs import images_of, shapes_of  # noqa: E402
from tensors import fill  # noqa: E402

from jaxdl.errors import InputError  # noqa: E402
from jaxdl.models import ARCHITECTURES, load_pretrained, recognise, weights  # noqa: E402
from jaxdl.models.port import adapt_kernel, load, to_variables  # noqa: E402
from jaxdl.models.weights import Weights  # noqa: E402

CONTAINERS = (
    *('state_dict', 'model', 'model_state', 'model_state_dict', 'state_dict_ema', 'ema', 'net'),
    *('network', 'teacher', 'student', 'module', 'generator'),
)
PREFIXES = (
    *('module.', 'model.', '_orig_mod.', 'backbone.', 'encoder.', 'encoder_q.', 'net.'),
    *('module.model.', 'module.encoder_q.', '_orig_mod.module.', 'model.backbone.', ''),
)
CIFAR = ARCHITECTURES['resnet20']


@pytest.fixture(scope='module')
def tensors():
    return fill(shapes_of('resnet20'))


def prefixed(tensors, prefix):
    return {f'{prefix}{name}': value for name, value in tensors.items()}


def headless(tensors):
    return {name: value for name, value in tensors.items() if not name.startswith('linear')}


class Results(collections.OrderedDict):
    """A class of a training script, which is not there when its checkpoint is read."""


class Metrics:
    def __init__(self):
        self.best, self.history = 0.5, [1, 2]


OBJECTS = dict(
    args=argparse.Namespace(lr=0.1, output=pathlib.Path('runs')),
    path=pathlib.Path('runs/1'),
    best=np.float64(0.5),
    count=np.int64(3),
    array=np.arange(3),
    generator=np.random.RandomState(0).get_state(),
    metrics=Metrics(),
    kind=Metrics,
    results=Results(a=1),
    by_name=collections.defaultdict(list, a=[1]),
    settings=types.SimpleNamespace(a=1),
    time=datetime.datetime(2026, 1, 1),
    device=torch.device('cpu'),
    dtype=torch.float16,
    names={'a', 'b'},
    data=b'bytes',
    key={pathlib.Path('a'): 1},
)


@pytest.mark.parametrize('protocol', [2, 4])
@pytest.mark.parametrize('zipped', [True, False])
def test_other_objects_of_a_checkpoint_are_passed_over(tmp_path, zipped, protocol):
    state = Results(a=torch.ones(2))  # some scripts subclass the dictionary of tensors too
    torch.save(
        OBJECTS | dict(state_dict=state),
        tmp_path / 'x.ckpt',
        pickle_protocol=protocol,
        _use_new_zipfile_serialization=zipped,
    )
    read = weights.read(str(tmp_path / 'x.ckpt')).tensors
    assert list(read) == ['state_dict.a']
    np.testing.assert_array_equal(read['state_dict.a'], np.ones(2))


@pytest.mark.parametrize('protocol', [0, 2, 4])
def test_a_class_is_neither_imported_nor_made(tmp_path, monkeypatch, protocol):
    (tmp_path / 'hostile.py').write_text(
        "import pathlib\npathlib.Path('imported').touch()\n"
        'class Config:\n'
        "    def __new__(cls, *_): pathlib.Path('made').touch(); return object.__new__(cls)\n"
        "    def __setstate__(self, state): pathlib.Path('set').touch()\n"
        '    def __reduce__(self): return (Config, (1,), dict(a=1))\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    import hostile

    content = pickle.dumps(dict(a=hostile.Config(), b=hostile.Config), protocol)
    del sys.modules['hostile']
    for name in ('imported', 'made'):
        pathlib.Path(name).unlink()
    head = b''.join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {}))
    (tmp_path / 'x.pth').write_bytes(head + content + pickle.dumps([], 2))
    with pytest.raises(InputError, match=r'no tensor in it, but objects of hostile\.Config: save'):
        weights.read(str(tmp_path / 'x.pth'))
    assert not any(pathlib.Path(name).exists() for name in ('imported', 'made', 'set'))
    assert 'hostile' not in sys.modules


@pytest.mark.parametrize(
    'function', [print, eval, np.load, pathlib.Path.touch, torch.load, sys.exit, Metrics.__init__]
)
@pytest.mark.parametrize('protocol', [2, 4])
def test_functions_are_refused(tmp_path, function, protocol):
    torch.save(dict(a=function), tmp_path / 'x.pth', pickle_protocol=protocol)
    with pytest.raises(InputError, match='refused, since reading it would call'):
        weights.read(str(tmp_path / 'x.pth'))


def test_a_whole_network_is_named(tmp_path):
    torch.save(dict(model=torch.nn.Sequential(torch.nn.Linear(2, 2))), tmp_path / 'x.pth')
    with pytest.raises(InputError, match=r'objects of torch\.nn\.modules.*: save the state_dict'):
        weights.read(str(tmp_path / 'x.pth'))


@pytest.mark.parametrize(
    'prefix', [f'{a}.{b}' for a, b in zip(CONTAINERS, itertools.cycle(PREFIXES))] + [*PREFIXES]
)
def test_the_network_is_found_under_its_prefix(tensors, prefix):
    more = {'optimizer.state.0.exp_avg': np.zeros(3), 'criterion.weight': np.zeros(10)}
    others = more if prefix else {}
    found = recognise.find_network(Weights(prefixed(tensors, prefix) | others))
    assert found.architecture == 'resnet20'
    assert found.tensors.keys() == tensors.keys()
    assert bool(found.notes) == bool(prefix)
    if prefix:
        assert found.notes == (
            f'the network is under {prefix} ({len(tensors)} tensors); passed over 2 other tensors: '
            'optimizer (1), criterion (1)',
        )


def test_parts_of_a_larger_network_are_counted(tensors):
    larger = prefixed(headless(tensors), 'model.backbone.')
    larger |= {'model.neck.weight': np.zeros(3), 'model.neck.bias': np.zeros(3)}
    loaded = load(Weights(larger))
    assert loaded.module.num_classes == 0
    assert loaded.notes[0].endswith('passed over 2 other tensors: model.neck (2)')


def test_several_networks_are_chosen_by_name_or_listed(tensors):
    other = {name: value + 1 for name, value in tensors.items()}
    both = prefixed(tensors, 'state_dict.module.encoder_q.')
    both |= prefixed(other, 'state_dict.module.encoder_k.')
    with pytest.raises(InputError) as raised:
        load(Weights(both, source='moco.pth'))
    assert str(raised.value) == (
        'weights moco.pth: 2 networks (state_dict.module.encoder_q, state_dict.module.encoder_k): '
        'choose one by a part of its name, such as --set=network=encoder_k'
    )
    chosen = load(Weights(both), network='encoder_k')
    np.testing.assert_array_equal(chosen.variables['params']['head']['bias'], other['linear.bias'])
    assert 'state_dict.module.encoder_q (' in chosen.notes[0]
    with pytest.raises(InputError, match=r"unknown network 'encoder'.*did you mean encoder_"):
        load(Weights(both), network='encoder')
    with pytest.raises(InputError, match="unknown network 'encoder'"):
        load(Weights({'model.x.weight': np.zeros(1)}), network='encoder')


@pytest.mark.parametrize('names', [('state_dict', 'state_dict_ema'), ('model', 'model_ema')])
def test_averaged_weights_come_first(tensors, names):
    plain, averaged = names
    other = {name: value + 1 for name, value in tensors.items()}
    both = prefixed(tensors, f'{plain}.') | prefixed(other, f'{averaged}.module.')
    loaded = load(Weights(both))
    np.testing.assert_array_equal(loaded.variables['params']['head']['bias'], other['linear.bias'])
    assert loaded.notes[0].startswith(f'the network is under {averaged}.module.')
    assert f'{plain} ({len(tensors)})' in loaded.notes[0]
    plain_loaded = load(Weights(both), network=plain)
    np.testing.assert_array_equal(
        plain_loaded.variables['params']['head']['bias'], tensors['linear.bias']
    )


def test_an_incomplete_network_is_unwrapped_by_names(tensors):
    partial = {k: v for k, v in tensors.items() if not k.startswith('layer3.2')}
    wrapped = prefixed(partial, 'state_dict.module.') | {'optimizer.x.y': np.zeros(2)}
    with pytest.raises(InputError, match=r'10 unfilled: layer3\.2\.bn1'):
        load(Weights(wrapped), 'resnet20')
    loaded = load(Weights(wrapped), 'resnet20', ('layer3_2',))
    assert 'layer3_2' in loaded.variables['params']


HEADS = [
    {'linear.1.weight': (10, 64), 'linear.1.bias': (10,)},
    {'fc.0.weight': (64, 64), 'fc.0.bias': (64,), 'fc.3.weight': (5, 64), 'fc.3.bias': (5,)},
    {'head.fc.weight': (7, 64), 'head.fc.bias': (7,)},
    {'linear.weight': (10, 64, 1, 1), 'linear.bias': (10,)},
    {'projector.0.weight': (64, 64)},
]


@pytest.mark.parametrize('head', HEADS, ids=lambda head: next(iter(head)))
def test_a_head_of_another_shape_is_passed_over_where_it_is_not_needed(tmp_path, tensors, head):
    changed = headless(tensors) | {name: np.zeros(shape) for name, shape in head.items()}
    for classes, missing in ((None, ()), (0, ()), (4, ('head',))):
        loaded = load(Weights(changed), None, missing, classes)
        (note,) = loaded.notes
        assert note.startswith('passed over a head of another shape: ')
        assert all(name in note for name in head)
        assert loaded.module.num_classes == (classes or 0)
    with pytest.raises(InputError, match=r'2 unfilled: linear|of another shape: linear'):
        load(Weights(changed), num_classes=10)


def test_notes_are_written_to_stderr(tmp_path, tensors, capsys):
    save_file(prefixed(tensors, 'module.'), tmp_path / 'x.safetensors')
    load_pretrained(str(tmp_path / 'x.safetensors'))
    assert capsys.readouterr().err == (
        f'jaxdl: weights {tmp_path / "x.safetensors"}: the network is under module. '
        f'({len(tensors)} tensors)\n'
    )


@pytest.mark.parametrize('channels', [1, 2, 4, 6])
def test_the_first_kernel_is_adapted_as_timm_does(channels):
    timm = references.timm()
    kernel = np.random.default_rng(0).normal(size=(8, 3, 5, 5)).astype(np.float32)
    expected = timm.models.adapt_input_conv(channels, torch.tensor(kernel)).numpy()
    actual = adapt_kernel(kernel.transpose(2, 3, 1, 0), channels).transpose(3, 2, 0, 1)
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_images_of_other_channels(tensors):
    grey = images_of(32)[..., :1]
    three = load(Weights(tensors))
    one = load(Weights(tensors), in_channels=1)
    expected = three.module.apply(three.variables, np.repeat(grey, 3, -1))
    np.testing.assert_allclose(one.module.apply(one.variables, grey), expected, atol=1e-4)
    assert one.notes == ('conv1.weight has 3 input channels: summed for 1',)
    four = load(Weights(tensors), in_channels=4)
    assert four.module.apply(four.variables, np.repeat(grey, 4, -1)).shape == (2, 10)


@pytest.mark.parametrize(('channels', 'how'), [(1, 'repeated'), (4, 'cut')])
def test_weights_of_other_channels(tensors, channels, how):
    kernel = adapt_kernel(tensors['conv1.weight'].transpose(2, 3, 1, 0), channels)
    changed = tensors | {'conv1.weight': kernel.transpose(3, 2, 0, 1)}
    loaded = load(Weights(changed))
    assert loaded.notes == (f'conv1.weight has {channels} input channels: {how} for 3',)
    grey = images_of(32)[..., :1]
    own = to_variables(changed, CIFAR, in_channels=channels)
    expected = loaded.module.apply(own, np.repeat(grey, channels, -1))
    actual = loaded.module.apply(loaded.variables, np.repeat(grey, 3, -1))
    if channels == 1:  # a grey image gives the same as three equal channels
        np.testing.assert_allclose(actual, expected, atol=1e-4)
    assert actual.shape == expected.shape


def test_bfloat16_of_safetensors(tmp_path, tensors):
    import ml_dtypes

    halves = {name: value.astype(ml_dtypes.bfloat16) for name, value in tensors.items()}
    save_file(halves, tmp_path / 'x.safetensors')
    read = weights.read(str(tmp_path / 'x.safetensors')).tensors
    for name, value in halves.items():
        assert read[name].dtype == np.float32
        np.testing.assert_array_equal(read[name], value.astype(np.float32))
