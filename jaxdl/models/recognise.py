"""Find the network of a weight file and recognise its architecture.

A training script puts dictionaries around a network, and prefixes before the names of its tensors.
The network is under the longest prefix under which a known architecture fits.
"""

import collections
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxdl.errors import InputError, unknown
from jaxdl.models.architectures import ARCHITECTURES
from jaxdl.models.families import FAMILIES, family_of
from jaxdl.models.tensor_names import Signature, list_names
from jaxdl.models.weights import Weights

# Names that training scripts give to the dictionary of a network, the first one first. They are
# used only where no architecture fits, so that the message names the tensors of the network.
WRAPPERS = (
    *('state_dict_ema', 'model_ema', 'ema', 'state_dict', 'model_state_dict', 'model_state'),
    *('model', 'net', 'network', 'teacher', 'student', 'module', 'backbone', 'encoder'),
    *('encoder_q', '_orig_mod'),
)
# First tensor of a network: what is before it is the prefix.
_FIRST = re.compile(f'((?:.*\\.)?)(?:{"|".join(family.first for family in FAMILIES.values())})')
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
    name = wanted or fitting[chosen][0]
    if not wanted:
        notes += _describe_guess(fitting[chosen], declared)
    row = ARCHITECTURES[name]
    renamed = family_of(row).rename(tensors, row)
    return Network(name, renamed, (*notes, *_describe_changes(tensors, renamed)))


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


def _fitting(tensors: Mapping[str, np.ndarray], wanted: str | None) -> dict[str, list[str]]:
    """Prefix -> the architectures that fit under it."""
    matches = map(_FIRST.fullmatch, tensors)
    fitting = {}
    for prefix in dict.fromkeys(match[1] for match in matches if match):
        names = fitting_rows(_under(tensors, prefix))
        if names and wanted in (None, *names):
            fitting[prefix] = names
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


def _describe_changes(
    tensors: Mapping[str, np.ndarray], renamed: Mapping[str, np.ndarray]
) -> list[str]:
    """A line per tensor of which the family makes another size."""
    return [
        f'{name} {list(tensors[name].shape)} is read as {list(value.shape)}'
        for name, value in renamed.items()
        if name in tensors and tensors[name].size != value.size
    ]


def _describe_guess(names: Sequence[str], declared: Any) -> tuple[str, ...]:
    """A line on an architecture that the tensors alone do not show."""
    others = [name for name in names if name != names[0]]
    why = f'config.json calls it {declared}, which jaxdl lacks; ' if declared else ''
    if others:
        why += f'the tensors fit {list_names(names)}; '
    advice = f'--set=architecture={others[0]} chooses another' if others else 'check the results'
    return (f'{why}read as {names[0]}: {advice}',) if why else ()


def _group_of(name: str, prefix: str) -> str:
    """The first part of a name in which it differs from a prefix, with what is before."""
    parts, others = name.split('.'), prefix.split('.')
    shared = next(
        (i for i, (a, b) in enumerate(zip(parts, others, strict=False)) if a != b), len(others)
    )
    return '.'.join(parts[: shared + 1])


def fitting_rows(tensors: Mapping[str, np.ndarray]) -> list[str]:
    """Names of the architectures whose signature is that of the tensors."""
    signatures = {name: family.signature_of(tensors) for name, family in FAMILIES.items()}
    return [
        name
        for name, row in ARCHITECTURES.items()
        if family_of(row).expected_signature(row) == signatures[row.family]
    ]


def likeliest(tensors: Mapping[str, np.ndarray]) -> tuple[str, bool]:
    """Find the architecture whose signature is nearest to that of the tensors.

    Args:
      tensors: name -> array.

    Returns:
      Its name, and whether the signatures are equal.
    """
    signatures = {name: family.signature_of(tensors) for name, family in FAMILIES.items()}

    def likeness(name: str) -> tuple[int, int]:
        row = ARCHITECTURES[name]
        return _likeness(signatures[row.family], family_of(row).expected_signature(row))

    fits = fitting_rows(tensors)
    return (fits[0], True) if fits else (max(ARCHITECTURES, key=likeness), False)


def _likeness(one: Signature, other: Signature) -> tuple[int, int]:
    """Number of equal entries; then minus the number of blocks that differ."""
    stages = itertools.zip_longest(one.get('stages', ()), other['stages'], fillvalue=0)
    return sum(one.get(key) == value for key, value in other.items()), -sum(
        abs(a - b) for a, b in stages
    )
