"""Port of pretrained weights into a `Network` and back: every tensor read, every parameter filled.

PyTorch's kernels are [out, in, rows, columns] and its dense weights [out, in]; ours [rows, columns,
in, out] and [in, out]. Its momentum 0.1 is 0.9 here, and the running variance is the unbiased one
in both (`norm.BatchNorm`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxdl.errors import InputError, unknown, warn
from jaxdl.models.architectures import ARCHITECTURES, Preprocessing
from jaxdl.models.families import family_of, make_network
from jaxdl.models.network import Network, Row
from jaxdl.models.tensor_names import UNREAD, is_head, list_names

if TYPE_CHECKING:
    from jaxdl.models.weights import Weights

Tensors = Mapping[str, np.ndarray]
CHANNELS = (1, 3, 4)  # of images that the first kernel can be adapted from
Path = tuple[str, ...]  # ('params', 'layer1_0', 'conv1', 'kernel')


class Pretrained(NamedTuple):
    """A network with its pretrained weights.

    Attributes:
      module: the network.
      variables: `params` and `batch_stats`.
      notes: a line per thing that was chosen or passed over in the file.
    """

    module: Network
    variables: dict[str, Any]
    notes: tuple[str, ...]


def load_pretrained(
    source: 'str | Weights',
    architecture: str | None = None,
    allow_missing: Sequence[str] = (),
    num_classes: int | None = None,
    revision: str | None = None,
    network: str = '',
    in_channels: int = 3,
) -> tuple[Network, dict[str, Any]]:
    """Load a network with pretrained weights: logits by `module.apply(variables, images)`.

    A line on stderr names each thing that was chosen or passed over in the file.

    Args:
      source: a .safetensors, .npz, .pth, .pt, .bin, .ckpt or .th file, or an id of the Hugging Face
        hub, as `timm/resnet50.a1_in1k`; or the result of `weights.read`, whose `revision` is the
        commit of the hub.
      architecture: a row of ARCHITECTURES; None: recognised by the tensors.
      allow_missing: parts of the network that may keep their initial values: `head`, `layer4_0`,
        ...
      num_classes: number of outputs; 0: no head, pooled features in place of logits. None: that of
        the file; 0 where the file has no head. Another number than the file's needs a new head:
        `allow_missing=('head',)`.
      revision: branch, tag or commit of a hub id; `weights.commit` resolves it to a commit.
      network: which of several networks in the file, by a part of the names of its tensors:
        `encoder_q`, `teacher`.
      in_channels: channels of the images; the first kernel is summed or repeated for them as timm
        does (`adapt_kernel`).

    Returns:
      The module, whose `preprocessing` describes the images that it expects, and its variables:
      `params`, `batch_stats`.

    Raises:
      InputError: no such file or architecture; tensors that are left over, missing, or of another
        shape.
    """
    from jaxdl.models import weights  # only who reads files needs it

    if architecture is not None and architecture not in ARCHITECTURES:
        raise unknown('architecture', architecture, ARCHITECTURES)
    read = weights.read(source, revision) if isinstance(source, str) else source
    loaded = load(read, architecture, allow_missing, num_classes, network, in_channels)
    for note in loaded.notes:
        warn(f'weights {read.source}: {note}')
    return loaded.module, loaded.variables


def load(
    read: 'Weights',
    architecture: str | None = None,
    allow_missing: Sequence[str] = (),
    num_classes: int | None = None,
    network: str = '',
    in_channels: int = 3,
) -> Pretrained:
    """As `load_pretrained`, of weights that are read already; prints nothing."""
    from jaxdl.models import recognise

    chosen = recognise.find_network(read, architecture, network)
    row, tensors = ARCHITECTURES[chosen.architecture], chosen.tensors
    outputs = classes_of(tensors, row) if num_classes is None else num_classes
    try:
        variables = to_variables(tensors, row, outputs, allow_missing, in_channels)
        prepared = parse_preprocessing(read.config, row.preprocessing)
    except InputError as error:
        like, fits = recognise.likeliest(tensors)
        hint = f'; they look like {like}: architecture={like}' if fits and like != row.name else ''
        raise InputError(f'weights {read.source}: {error}{hint}') from None
    notes = [*chosen.notes, *_describe_port(tensors, row, outputs, allow_missing, in_channels)]
    return Pretrained(make_network(row, outputs, prepared), variables, tuple(notes))


def classes_of(tensors: Tensors, architecture: Row) -> int:
    """Number of classes of the head in these tensors.

    A head that takes other features than the network has, such as that of a whole network for a
    truncated one, does not fit.

    Args:
      tensors: by their original names.
      architecture: of the network.

    Returns:
      The number; 0 without a head, or with one that does not fit.
    """
    head = [_name_of(('head', leaf), architecture, tensors) for leaf in ('bias', 'kernel')]
    parts = [tensors[name] for name in head if name in tensors]
    if len(parts) == 1 and not architecture.truncated:
        return len(parts[0])  # the other one is missing, which `to_variables` refuses
    fits = len(parts) == 2 and parts[1].shape[1:] == (architecture.features,)
    return len(parts[0]) if fits else 0


def to_variables(
    tensors: Tensors,
    architecture: Row,
    num_classes: int | None = None,
    allow_missing: Sequence[str] = (),
    in_channels: int = 3,
) -> dict[str, Any]:
    """Variables of a `Network` from tensors, float32; missing parts have their initial values.

    Args:
      tensors: by their original names.
      architecture: of the network.
      num_classes: number of outputs; None: that of the tensors.
      allow_missing: parts that may be missing.
      in_channels: channels of the images; see `adapt_kernel`.

    Returns:
      `params` and `batch_stats`.

    Raises:
      InputError: tensors are not read, parameters are not filled, or shapes differ; it lists them.
    """
    classes = classes_of(tensors, architecture) if num_classes is None else num_classes
    module = make_network(architecture, classes)
    shapes: dict[Path, Any] = flatten_dict(jax.eval_shape(lambda: _initial(module, in_channels)))
    _check_parts(allow_missing, shapes)
    names = {path: _name_of(path[1:], architecture, tensors) for path in shapes}
    arrays = {
        path: _to_parameter(tensors[name], path) for path, name in names.items() if name in tensors
    }
    first = ('params', architecture.first_convolution, 'kernel')
    if first in arrays:
        arrays[first] = adapt_kernel(arrays[first], in_channels)
    other = {path for path, value in arrays.items() if value.shape != shapes[path].shape}
    new = {
        path
        for path in shapes
        if path[1] in allow_missing and (path not in arrays or path in other)
    }
    unread = _find_unused(tensors, set(names.values()), architecture, classes, allow_missing)
    missing = [names[path] for path in shapes if path not in arrays and path not in new]
    wrong = [f'{names[p]} {tensors[names[p]].shape}' for p in shapes if p in other and p not in new]
    _check_fit(architecture, classes, unread, missing, wrong)
    filled = {path: value for path, value in arrays.items() if path not in new}
    values = unflatten_dict(filled | _initial_values(module, new, in_channels))
    return dict(params={}, batch_stats={}) | values  # not every family has batch norms


def adapt_kernel(kernel: np.ndarray, in_channels: int) -> np.ndarray:
    """The first kernel of a network for images of other channels, as timm adapts it.

    For one channel the kernel is summed over its channels, so that a grey image gives the same
    result as three equal channels. For others it is repeated and scaled by the ratio of the
    channels, so that three equal channels give the same result as the grey image. Four channels
    are taken as red, green, blue and another one, which three lack.

    Args:
      kernel: [rows, columns, in, out].
      in_channels: of the images.

    Returns:
      [rows, columns, in_channels, out]; the kernel itself where `in` is none of CHANNELS.
    """
    channels = kernel.shape[2]
    if channels == in_channels or channels not in CHANNELS:
        return kernel
    if in_channels == 1:
        return kernel.sum(2, keepdims=True)
    repeated = np.tile(kernel, (1, 1, -(-in_channels // channels), 1))[:, :, :in_channels]
    return repeated * np.float32(channels / in_channels)


def to_tensors(variables: Mapping[str, Any], architecture: Row) -> dict[str, np.ndarray]:
    """Tensors under their original names and in their original layout; inverse of `to_variables`.

    Args:
      variables: `params` and `batch_stats`.
      architecture: of the network.

    Returns:
      Name -> array.
    """
    leaves: dict[Path, Any] = flatten_dict(dict(variables))
    return {
        _name_of(path[1:], architecture): _to_tensor(np.asarray(v), path)
        for path, v in leaves.items()
    }


def parse_preprocessing(config: Mapping[str, Any], default: Preprocessing) -> Preprocessing:
    """Preprocessing from timm's config.json.

    Args:
      config: content of the file.
      usual: values for keys that the file lacks.

    Returns:
      The preprocessing.

    Raises:
      InputError: a value of another type.
    """
    values = config.get('pretrained_cfg', config)
    try:
        fields: dict[str, Any] = {
            k: tuple(map(float, values[k])) for k in ('mean', 'std') if k in values
        }
        fields |= dict(size=int(values['input_size'][-1])) if 'input_size' in values else {}
        fields |= dict(crop=float(values['crop_pct'])) if 'crop_pct' in values else {}
        fields |= (
            dict(interpolation=str(values['interpolation'])) if 'interpolation' in values else {}
        )
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise InputError(
            f'config.json of the weights: pretrained_cfg cannot be read ({error}): '
            'repair or remove the file'
        ) from None
    return replace(default, **fields)


def _name_of(path: Path, architecture: Row, tensors: Iterable[str] = ()) -> str:
    """Name of the tensor of a parameter, with the prefix that the names of `tensors` have."""
    family = family_of(architecture)
    return family.name_of(path, architecture, family.prefix_of(tensors, architecture))


def _describe_port(
    tensors: Tensors,
    architecture: Row,
    classes: int,
    allow_missing: Sequence[str],
    in_channels: int,
) -> list[str]:
    """Lines on a head that is passed over, and on a first kernel that is adapted."""
    notes = []
    if not classes or 'head' in allow_missing:
        kernel = _name_of(('head', 'kernel'), architecture, tensors)
        usual = kernel in tensors and tensors[kernel].shape[1:] == (architecture.features,)
        norm = [_name_of(('norm', leaf), architecture) for leaf in ('scale', 'bias')]
        heads = [
            f'{name} {list(value.shape)}'
            for name, value in tensors.items()
            if is_head(name) and name not in norm
        ]
        if heads and not usual and not architecture.truncated:
            notes.append(f'passed over a head of another shape: {list_names(heads, 4)}')
    first = _name_of((architecture.first_convolution, 'kernel'), architecture)
    channels = tensors[first].shape[1] if first in tensors else in_channels
    if channels != in_channels:
        how = 'summed' if in_channels == 1 else 'repeated' if channels < in_channels else 'cut'
        notes.append(f'{first} has {channels} input channels: {how} for {in_channels}')
    return notes


def _initial(module: Network, in_channels: int) -> Any:
    """Initial values of every parameter; a jitted function computes only those that it returns."""
    side = module.preprocessing.size
    return module.init(jax.random.key(0), np.zeros((1, side, side, in_channels), np.float32))


def _initial_values(module: Network, paths: set[Path], in_channels: int) -> dict[Path, np.ndarray]:
    if not paths:
        return {}
    ordered = sorted(paths)
    values = jax.jit(
        lambda: [flatten_dict(_initial(module, in_channels))[path] for path in ordered]
    )()
    return dict(zip(ordered, map(np.asarray, values), strict=True))


def _to_parameter(tensor: np.ndarray, path: Path) -> np.ndarray:
    tensor = np.asarray(tensor, np.float32)
    if path[-1] != 'kernel':
        return tensor
    return np.ascontiguousarray(tensor.transpose(2, 3, 1, 0) if tensor.ndim == 4 else tensor.T)


def _to_tensor(value: np.ndarray, path: Path) -> np.ndarray:
    if path[-1] != 'kernel':
        return value
    return np.ascontiguousarray(value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T)


def _check_parts(allow_missing: Sequence[str], shapes: Mapping[Path, Any]) -> None:
    parts = {path[1]: None for path in shapes} | {'head': None}
    for part in allow_missing:
        if part not in parts:
            raise unknown('part', part, parts, ' in allow_missing')


def _find_unused(
    tensors: Tensors, names: set[str], architecture: Row, classes: int, allow_missing: Sequence[str]
) -> list[str]:
    """Tensors that no parameter takes, except those skipped by name and an unused head."""
    headless = not classes or 'head' in allow_missing
    return [
        name
        for name in tensors
        if name not in names
        and not (headless and is_head(name))
        and not name.endswith(UNREAD)
        and not family_of(architecture).is_truncated(name, architecture)
    ]


def _check_fit(
    architecture: Row, classes: int, unread: list[str], missing: list[str], wrong: list[str]
) -> None:
    """InputError, in one line, where anything is left over, missing or of another shape."""
    groups = dict(unfilled=missing, unread=unread)
    groups['of another shape'] = wrong
    problems = '; '.join(
        f'{len(names)} {kind}: {list_names(names)}' for kind, names in groups.items() if names
    )
    if not problems:
        return
    head = architecture.head
    of_head = all(head in name for name in missing + wrong) and not unread
    advice = f"; allow_missing=('head',) makes a new head of {classes} classes" if of_head else ''
    raise InputError(f'the tensors do not fit {architecture.name}: {problems}{advice}')
