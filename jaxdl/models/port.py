"""Port of pretrained weights into a `ResNet` and back: every tensor read, every parameter filled.

PyTorch's kernels are [out, in, rows, columns] and its dense weights [out, in]; ours [rows, columns,
in, out] and [in, out]. Its momentum 0.1 is 0.9 here, and the running variance is the unbiased one
in both (`norm.BatchNorm`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxdl.errors import InputError, unknown
from jaxdl.models.architectures import ARCHITECTURES, Architecture, Preprocessing
from jaxdl.models.resnet import ResNet
from jaxdl.models.tensor_names import HEADS, UNREAD, is_truncated, list_names, name_of, prefix_of

if TYPE_CHECKING:
    from jaxdl.models.weights import Weights

Tensors = Mapping[str, np.ndarray]
Path = tuple[str, ...]  # ('params', 'layer1_0', 'conv1', 'kernel')


def load_pretrained(
    source: 'str | Weights',
    architecture: str | None = None,
    allow_missing: Sequence[str] = (),
    num_classes: int | None = None,
    revision: str | None = None,
) -> tuple[ResNet, dict[str, Any]]:
    """Load a network with pretrained weights: logits by `module.apply(variables, images)`.

    Args:
      source: a .safetensors, .npz, .pth or .th file, or an id of the Hugging Face hub, as
        `timm/resnet50.a1_in1k`; or the result of `weights.read`, whose `revision` is the
        commit of the hub.
      architecture: a row of ARCHITECTURES; None: recognised by the tensors.
      allow_missing: parts of the network that may keep their initial values: `head`, `layer4_0`,
        ...
      num_classes: number of outputs; 0: no head, pooled features in place of logits. None: that of
        the file; 0 where the file has no head. Another number than the file's needs a new head:
        `allow_missing=('head',)`.
      revision: branch, tag or commit of a hub id; `weights.commit` resolves it to a commit.

    Returns:
      The module, whose `preprocessing` describes the images that it expects, and its variables:
      `params`, `batch_stats`.

    Raises:
      InputError: no such file or architecture; tensors that are left over, missing, or of another
        shape.
    """
    from jaxdl.models import recognise, weights  # only who reads files needs them

    if architecture is not None and architecture not in ARCHITECTURES:
        raise unknown('architecture', architecture, ARCHITECTURES)
    read = weights.read(source, revision) if isinstance(source, str) else source
    row = ARCHITECTURES[architecture or recognise.architecture_of(read)]
    outputs = classes_of(read.tensors, row) if num_classes is None else num_classes
    try:
        variables = to_variables(read.tensors, row, outputs, allow_missing)
        prepared = parse_preprocessing(read.config, row.preprocessing)
    except InputError as error:
        like, fits = recognise.likeliest(read.tensors)
        hint = f'; they look like {like}: architecture={like}' if fits and like != row.name else ''
        raise InputError(f'weights {read.source}: {error}{hint}') from None
    return ResNet(row, outputs, prepared), variables


def classes_of(tensors: Tensors, architecture: Architecture) -> int:
    """Number of classes of the head in these tensors.

    The head of a whole network takes more features than a truncated network has.

    Args:
      tensors: by their original names.
      architecture: of the network.

    Returns:
      The number; 0 without a head, or with one that does not fit.
    """
    prefix = prefix_of(tensors, architecture)
    bias, kernel = (
        tensors.get(name_of(('head', leaf), architecture, prefix)) for leaf in ('bias', 'kernel')
    )
    fits = kernel is not None and kernel.shape[1:] == (architecture.features,)
    return len(bias) if bias is not None and (fits or not architecture.truncated) else 0


def to_variables(
    tensors: Tensors,
    architecture: Architecture,
    num_classes: int | None = None,
    allow_missing: Sequence[str] = (),
) -> dict[str, Any]:
    """Variables of a `ResNet` from tensors, float32; missing parts have their initial values.

    Args:
      tensors: by their original names.
      architecture: of the network.
      num_classes: number of outputs; None: that of the tensors.
      allow_missing: parts that may be missing.

    Returns:
      `params` and `batch_stats`.

    Raises:
      InputError: tensors are not read, parameters are not filled, or shapes differ; it lists them.
    """
    classes = classes_of(tensors, architecture) if num_classes is None else num_classes
    module = ResNet(architecture, classes, architecture.preprocessing)
    shapes: dict[Path, Any] = flatten_dict(jax.eval_shape(lambda: _initial(module)))
    _check_parts(allow_missing, shapes)
    prefix = prefix_of(tensors, architecture)
    names = {path: name_of(path[1:], architecture, prefix) for path in shapes}
    arrays = {
        path: _to_parameter(tensors[name], path) for path, name in names.items() if name in tensors
    }
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
    return unflatten_dict(filled | _initial_values(module, new))


def to_tensors(variables: Mapping[str, Any], architecture: Architecture) -> dict[str, np.ndarray]:
    """Tensors under their original names and in their original layout; inverse of `to_variables`.

    Args:
      variables: `params` and `batch_stats`.
      architecture: of the network.

    Returns:
      Name -> array.
    """
    prefix = prefix_of((), architecture)
    leaves: dict[Path, Any] = flatten_dict(dict(variables))
    return {
        name_of(path[1:], architecture, prefix): _to_tensor(np.asarray(v), path)
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


def _initial(module: ResNet) -> Any:
    """Initial values of every parameter; a jitted function computes only those that it returns."""
    side = module.preprocessing.size
    return module.init(jax.random.key(0), np.zeros((1, side, side, 3), np.float32))


def _initial_values(module: ResNet, paths: set[Path]) -> dict[Path, np.ndarray]:
    if not paths:
        return {}
    ordered = sorted(paths)
    values = jax.jit(lambda: [flatten_dict(_initial(module))[path] for path in ordered])()
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
    tensors: Tensors,
    names: set[str],
    architecture: Architecture,
    classes: int,
    allow_missing: Sequence[str],
) -> list[str]:
    """Tensors that no parameter takes, except those skipped by name and an unused head."""
    head = HEADS[architecture.names] if not classes or 'head' in allow_missing else None
    prefix = prefix_of(tensors, architecture)
    heads = (
        {name_of(('head', leaf), architecture, prefix) for leaf in ('kernel', 'bias')}
        if head
        else set()
    )
    return [
        name
        for name in tensors
        if name not in names | heads
        and not name.endswith(UNREAD)
        and not is_truncated(name, architecture)
    ]


def _check_fit(
    architecture: Architecture,
    classes: int,
    unread: list[str],
    missing: list[str],
    wrong: list[str],
) -> None:
    """InputError, in one line, where anything is left over, missing or of another shape."""
    groups = dict(unfilled=missing, unread=unread)
    groups['of another shape'] = wrong
    problems = '; '.join(
        f'{len(names)} {kind}: {list_names(names)}' for kind, names in groups.items() if names
    )
    if not problems:
        return
    head = HEADS[architecture.names]
    of_head = all(head in name for name in missing + wrong) and not unread
    advice = f"; allow_missing=('head',) makes a new head of {classes} classes" if of_head else ''
    raise InputError(f'the tensors do not fit {architecture.name}: {problems}{advice}')
