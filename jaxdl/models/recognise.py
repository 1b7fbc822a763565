"""Find the network of a weight file and recognise its architecture.

A training script puts dictionaries around a network, and prefixes before the names of its tensors.
The network is under the longest prefix under which a known architecture fits. Imports no jax.
"""

import collections
import itertools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxdl.errors import InputError, unknown
from jaxdl.models.architectures import ARCHITECTURES, Architecture
from jaxdl.models.tensor_names import list_names
from jaxdl.models.weights import Weights

Signature = dict[str, Any]
# Names that training scripts give to the dictionary of a network, the first one first. They are
# used only where no architecture fits, so that the message names the tensors of the network.
WRAPPERS = (
    *('state_dict_ema', 'model_ema', 'ema', 'state_dict', 'model_state_dict', 'model_state'),
    *('model', 'net', 'network', 'teacher', 'student', 'module', 'backbone', 'encoder'),
    *('encoder_q', '_orig_mod'),
)
# First tensor of a network: what is before it is the prefix.
_FIRST = re.compile(r'((?:.*\.)?)(?:conv1(?:\.0)?\.weight|resnetv2\d_conv0_weight)')
_EMA = re.compile(r'(.*_)?ema(_.*)?')  # part of a prefix that names the averaged weights


@dataclass(frozen=True)
class Network:
    """One network of a file.

    Attributes:
      architecture: a row of ARCHITECTURES.
      tensors: by their names in the architecture.
      notes: a line per thing that was chosen or passed over.
    """

    architecture: str
    tensors: Mapping[str, np.ndarray]
    notes: Sequence[str] = field(default_factory=tuple)


def find_network(weights: Weights, architecture: str | None = None, network: str = '') -> Network:
    """Find the network of a file.

    Args:
      weights: as read from a file or the hub.
      architecture: a row of ARCHITECTURES; None: that of config.json, or the one that fits.
      network: which of several networks, by a part of its prefix: `encoder_q`, `teacher`; empty:
        the only one. Averaged weights (EMA) come before those that they are averages of.

    Returns:
      The network.

    Raises:
      InputError: no architecture fits, or several networks do; it names them.
    """
    declared = weights.config.get('architecture')
    wanted = architecture or (declared if declared in ARCHITECTURES else None)
    fitting = _fitting(weights.tensors, wanted)
    chosen = _choose(weights, list(fitting), network)
    if chosen is None:
        chosen = _unwrap(weights, network)
        best, _ = likeliest(_under(weights.tensors, chosen))
        if not wanted:
            named = f', which config.json calls {declared}' if declared else ''
            raise InputError(
                f'weights {weights.source}: no architecture of jaxdl has these '
                f'{len(weights.tensors)} tensors{named} ({list_names(weights.tensors)}); '
                f'{best} comes nearest, and --set=architecture=NAME forces one of '
                f'{", ".join(ARCHITECTURES)}'
            )
    tensors = _under(weights.tensors, chosen, [prefix for prefix in fitting if prefix != chosen])
    notes = _describe_choice(weights.tensors, tensors, chosen)
    return Network(wanted or fitting[chosen], tensors, notes)


def architecture_of(weights: Weights) -> str:
    """Name of the architecture of a file, a row of ARCHITECTURES; as `find_network`."""
    return find_network(weights).architecture


def _under(
    tensors: Mapping[str, np.ndarray], prefix: str, others: Iterable[str] = ()
) -> dict[str, np.ndarray]:
    """Tensors under a prefix, without it; not those of other networks."""
    inner = tuple(other for other in others if other.startswith(prefix))
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix) and not (inner and name.startswith(inner))
    }


def _fitting(tensors: Mapping[str, np.ndarray], wanted: str | None) -> dict[str, str]:
    """Prefix -> the architecture that fits under it."""
    matches = map(_FIRST.fullmatch, tensors)
    fitting = {}
    for prefix in dict.fromkeys(match[1] for match in matches if match):
        best, fits = likeliest(_under(tensors, prefix))
        if fits and wanted in (None, best):
            fitting[prefix] = best
    return fitting


def _choose(weights: Weights, prefixes: Sequence[str], network: str) -> str | None:
    """The prefix of the network to load; None where no architecture fits."""
    if not prefixes:
        return None
    parts = {prefix: prefix.rstrip('.').split('.') for prefix in prefixes}
    if network:
        names = dict.fromkeys(part for of in parts.values() for part in of if part)
        if network not in names:
            raise unknown('network', network, names, f' in the weights {weights.source}')
        prefixes = [prefix for prefix in prefixes if network in parts[prefix]]
    averaged = [p for p in prefixes if any(map(_EMA.fullmatch, parts[p]))]
    if len(prefixes) == 2 and len(averaged) == 1:
        return averaged[0]
    if len(prefixes) > 1:
        listed = [prefix.rstrip('.') or '(no prefix)' for prefix in prefixes]
        differing = [part for part in parts[prefixes[-1]] if part not in parts[prefixes[0]]]
        example = differing[0] if differing else 'NAME'
        raise InputError(
            f'weights {weights.source}: {len(prefixes)} networks ({list_names(listed)}): '
            f'choose one by a part of its name, such as --set=network={example}'
        )
    return prefixes[0]


def _unwrap(weights: Weights, network: str) -> str:
    """The prefix of what seems to be the network, by names alone."""
    prefix = ''
    while True:
        inner = _under(weights.tensors, prefix)
        parts = list(dict.fromkeys(name.partition('.')[0] for name in inner if '.' in name))
        usual = [part for part in (network, *WRAPPERS) if part in parts]
        deep = all('.' in name for name in inner) and any(name.count('.') > 1 for name in inner)
        usual += parts if len(parts) == 1 and deep else []
        if not usual:
            break
        prefix += f'{usual[0]}.'
    if network and network not in prefix.split('.'):
        raise unknown('network', network, parts, f' in the weights {weights.source}')
    return prefix


def _describe_choice(
    tensors: Mapping[str, np.ndarray], chosen: Mapping[str, np.ndarray], prefix: str
) -> tuple[str, ...]:
    if len(chosen) == len(tensors) and not prefix:
        return ()
    where = f'the network is under {prefix}' if prefix else 'the network has no prefix'
    others = [
        name
        for name in tensors
        if not (name.startswith(prefix) and name.removeprefix(prefix) in chosen)
    ]
    counts = collections.Counter(_group_of(name, prefix) for name in others)
    listed = list_names(f'{name} ({count})' for name, count in counts.items())
    passed = f'; passed over {len(others)} other tensors: {listed}' if others else ''
    return (f'{where} ({len(chosen)} tensors){passed}',)


def _group_of(name: str, prefix: str) -> str:
    """The first part of a name in which it differs from a prefix, with what is before."""
    parts, others = name.split('.'), prefix.split('.')
    shared = next(
        (i for i, (a, b) in enumerate(zip(parts, others, strict=False)) if a != b), len(others)
    )
    return '.'.join(parts[: shared + 1])


def likeliest(tensors: Mapping[str, np.ndarray]) -> tuple[str, bool]:
    """Find the architecture whose signature is nearest to that of the tensors.

    Args:
      tensors: name -> array.

    Returns:
      Its name, and whether the signatures are equal.
    """
    signature = signature_of(tensors)
    best = max(
        ARCHITECTURES,
        key=lambda name: _likeness(signature, expected_signature(ARCHITECTURES[name])),
    )
    return best, expected_signature(ARCHITECTURES[best]) == signature


def _likeness(one: Signature, other: Signature) -> tuple[int, int]:
    """Number of equal entries; then minus the number of blocks that differ."""
    stages = itertools.zip_longest(one['stages'], other['stages'], fillvalue=0)
    return sum(one.get(key) == value for key, value in other.items()), -sum(
        abs(a - b) for a, b in stages
    )


def expected_signature(row: Architecture) -> Signature:
    """Signature of the tensors of an architecture."""
    if row.names == 'gluon':
        return dict(names='gluon', stages=row.stages)
    width = row.base_width * row.groups if row.block == 'bottleneck' else row.widths[0]
    second = (width, width // row.groups, 3, 3)
    return dict(
        names=row.names,
        block=row.block,
        stages=row.stages,
        stem=row.stem,
        second=second,
        shortcut=row.shortcut,
        attention=row.attention,
    )


def signature_of(tensors: Mapping[str, np.ndarray]) -> Signature:
    """Signature of tensors: names, block, blocks per stage, stem, shortcut, attention, ..."""
    if any(re.match(r'resnetv2\d_', name) for name in tensors):
        # Block j of a stage ends in convolution 3j + 3, of three blocks in 9; one that is cut off
        # has fewer.
        ends = [_blocks(tensors, rf'stage{stage}_conv(\d+)_weight') for stage in (1, 2, 3, 4)]
        return dict(names='gluon', stages=tuple(blocks for blocks in ends if blocks))
    stages = [_count(tensors, rf'^layer{stage}\.(\d+)\.conv1\.weight$') for stage in (1, 2, 3, 4)]
    first = tensors.get('layer1.0.conv2.weight', np.zeros(()))
    return dict(
        names='cifar' if not stages[3] and stages[0] else 'timm',
        block='bottleneck' if 'layer1.0.conv3.weight' in tensors else 'basic',
        stages=tuple(blocks for blocks in stages if blocks),
        stem=_stem(tensors),
        second=first.shape,
        shortcut=_shortcut(tensors),
        attention=_attention(tensors),
    )


def _stem(tensors: Mapping[str, np.ndarray]) -> str:
    if 'conv1.0.weight' in tensors:
        return 'tiered' if len(tensors['conv1.0.weight']) == 24 else 'deep'
    first = tensors.get('conv1.weight', np.zeros(()))
    return 'cifar' if first.shape[-1:] == (3,) else 'imagenet'


def _shortcut(tensors: Collection[str]) -> str:
    if 'layer2.0.downsample.2.weight' in tensors:
        return 'average'
    return 'conv' if 'layer2.0.downsample.0.weight' in tensors else 'pad'


def _attention(tensors: Collection[str]) -> str:
    if 'layer1.0.se.fc1.weight' in tensors:
        return 'se'
    return 'eca' if 'layer1.0.se.conv.weight' in tensors else ''


def _count(names: Collection[str], pattern: str) -> int:
    """The largest number that the pattern finds, plus 1."""
    matches = (re.search(pattern, name) for name in names)
    return max((int(match[1]) + 1 for match in matches if match), default=0)


def _blocks(names: Collection[str], pattern: str) -> int:
    """Whole blocks of a stage of Gluon's: n blocks have convolutions 0 to 3 n."""
    return max(_count(names, pattern) - 1, 0) // 3
