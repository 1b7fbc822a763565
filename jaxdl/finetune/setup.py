"""Set-up of a fine-tuning: checks, weights, images, splits, features and heads."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxdl import workdir
from jaxdl._version import __version__
from jaxdl.config.experiment import FineTune
from jaxdl.data import Dataset, Splits, bursts, load
from jaxdl.errors import InputError, warn
from jaxdl.inference import features
from jaxdl.models import conv, port, weights
from jaxdl.models.network import Network, Row, describe_misfit
from jaxdl.runtime import distributed, tracking
from jaxdl.train import losses, masks
from jaxdl.workdir import records
from jaxdl.workdir.checksums import checksum
from jaxdl.workdir.records import FineTunePlan, ModelCard

Head = Mapping[str, np.ndarray]  # kernel [features, classes] and bias [classes]


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A pretrained network without head.

    Attributes:
      module: the network.
      variables: NumPy arrays.
      revision: commit of the weights on the hub; empty for a file.
      notes: a line per thing that was chosen or passed over in the file.
      licence: of the weights; empty where it is unknown.
    """

    module: Network
    variables: dict[str, Any]
    revision: str
    notes: tuple[str, ...] = ()
    licence: str = ''


def check_settings(experiment: FineTune) -> None:
    """Check that the settings of a fine-tuning fit one another.

    Raises:
      InputError: they do not.
    """
    settings, recipe = experiment.variant, experiment.finetune
    if not experiment.weights:
        raise InputError(
            'no weights are named: use --set=weights=FILE (.safetensors, .npz, .pth, .ckpt), '
            'or a hub id, as in --set=weights=timm/resnet50.a1_in1k'
        )
    if losses.find(settings.loss).activation is not jax.nn.softmax:
        raise InputError(
            f'variant.loss={settings.loss}: a fine-tuned network ends in a softmax: '
            'use softmax_cross_entropy'
        )
    tracking.check(experiment.trackers)
    if recipe.precision == 'bfloat16' and experiment.conv == 'onednn':
        raise InputError(
            'conv=onednn: it computes in float32 only: use precision=float32, or conv=auto'
        )
    if recipe.norms == 'batch' and any('_' in name for name in recipe.frozen):
        raise InputError(
            f'finetune.frozen={list(recipe.frozen)}: norms=batch freezes whole stages only: '
            'use stem, layer1, ...'
        )
    if experiment.data.fractions is not None and not experiment.data.fractions[1]:
        raise InputError(
            f'data.fractions={list(experiment.data.fractions)}: a fine-tuning needs validation '
            'images: the second share must be above 0'
        )
    devices = jax.device_count()
    parts = devices * recipe.accumulation
    if settings.batch_size % parts:
        near = max(parts, round(settings.batch_size / parts) * parts)
        raise InputError(
            f'variant.batch_size={settings.batch_size}: must be a multiple of {parts}, '
            f'for {devices} devices and accumulation={recipe.accumulation}: set batch_size={near}'
        )
    if recipe.folds > 1 and recipe.average == 'soup':
        raise InputError(
            'finetune.average=soup: networks of different folds share no validation images: '
            'set folds=1'
        )


def load_backbone(experiment: FineTune) -> Backbone:
    """Load the pretrained network without head.

    Raises:
      InputError: the weights cannot be read, `finetune.frozen` names no part of the network, or
        the network takes no images of the sizes of the experiment.
    """
    read = weights.read(experiment.weights, experiment.revision or None)
    architecture, network = experiment.architecture or None, experiment.network
    module, variables, notes = port.load(read, architecture, num_classes=0, network=network)
    for note in notes if distributed.is_first() else ():
        warn(f'weights {read.source}: {note}')
    check_frozen(experiment, variables)
    check_sizes(experiment, module.architecture)
    if experiment.data.fit != 'crop':  # the whole image is meant: no centre of it is cropped
        prepared = dataclasses.replace(module.preprocessing, fit=experiment.data.fit, crop=1.0)
        module = module.clone(preprocessing=prepared)
    module = module.clone(lowering=_lowering(experiment), remat=experiment.finetune.remat)
    return Backbone(module, variables, read.revision, notes, read.licence)


def set_sizes(experiment: FineTune, network: Backbone, dataset: Dataset) -> FineTune:
    """The experiment with the sizes of the network's row where its own are 0.

    Args:
      experiment: its `train_size` and `eval_size` may be 0.
      network: the pretrained network.
      dataset: the images; none is scaled up to a size that is not named.

    Raises:
      InputError: the images are smaller than a size that is named.
    """
    recipe, row = experiment.finetune, network.module.architecture
    sizes, side = row.finetune_sizes, min(dataset.images.shape[1:3])
    side = max(row.multiple, side // row.multiple * row.multiple)
    recipe = dataclasses.replace(
        recipe,
        train_size=recipe.train_size or min(sizes.train, side),
        eval_size=recipe.eval_size or min(sizes.evaluation, side),
    )
    experiment = dataclasses.replace(experiment, finetune=recipe)
    _check_side(experiment, dataset.images.shape[1:3])
    return experiment


def check_frozen(experiment: FineTune, variables: Mapping[str, Any]) -> None:
    """Check that `finetune.frozen` names parts of a network without head.

    Raises:
      InputError: it does not.
    """
    masks.mask_frozen(dict(variables['params'], head={}), experiment.finetune.frozen)


def check_sizes(experiment: FineTune, architecture: Row) -> None:
    """Check that the network takes images of the sizes of the experiment.

    Raises:
      InputError: it does not; one line names every such size and the nearest ones.
    """
    problems = [
        f'{name}={size}: {problem}'
        for name, size in _sizes(experiment)
        if (problem := describe_misfit(architecture, size))
    ]
    if problems:
        raise InputError(f'{architecture.name}: {"; ".join(problems)}')


def pin_revision(experiment: FineTune, folder: pathlib.Path, overwrite: bool = False) -> FineTune:
    """The experiment with the commit of its weights on the hub, whatever branch it names.

    The first process resolves the commit, so that no other process reads other weights. A resumed
    run keeps the commit that it began with.
    """

    def resolve() -> str:
        path = folder / 'config.json'
        config = workdir.read_json(path) if path.exists() and not overwrite else {}
        config = config.get('base') or config  # of an ablation of a fine-tuning
        if config.get('weights') == experiment.weights and not experiment.revision:
            return config.get('revision', '')
        return weights.commit(experiment.weights, experiment.revision or None)

    return dataclasses.replace(experiment, revision=distributed.share_result(resolve))


def load_images(experiment: FineTune) -> Dataset:
    """Load the labelled images, uint8 [n, side, side, 3]; grey images get three equal channels.

    Raises:
      InputError: the data set has no such images.
    """
    dataset = load(experiment.data)
    images = dataset.images
    if images.dtype != np.uint8 or images.shape[-1] not in (1, 3):
        raise InputError(
            f'data.dataset={experiment.data.dataset}: {images.dtype} {list(images.shape)}: a '
            'pretrained network needs images uint8 [n, height, width, 3 or 1]'
        )
    if images.shape[-1] == 1:
        dataset = dataclasses.replace(dataset, images=np.repeat(images, 3, -1))
    return dataset


def warn_of_upscaling(experiment: FineTune, network: Backbone, dataset: Dataset) -> None:
    """Write a line where the probe's images are decoded smaller than the network expects."""
    preprocessing, side = network.module.preprocessing, dataset.images.shape[1]
    needed = round(preprocessing.size / preprocessing.crop)
    if not experiment.probe.probe_size and side < needed:
        warn(
            f'images of {side} px are scaled up for the network: '
            f'--set=image_size={needed} decodes them at the size that it expects'
        )


def check_unchanged(dataset: Dataset, network: Backbone, folder: pathlib.Path) -> None:
    """Check that a resumed run has the images and the weights that it began with.

    Raises:
      InputError: it has others.
    """
    path = folder / 'plan.json'
    if not path.exists():
        return
    plan = records.read(path, FineTunePlan)
    planned = plan.data.checksum, plan.model.weights_checksum
    present = dataset.checksum(), checksum(network.variables)
    names = f'data set {dataset.name} has', 'the weights have'
    for name, before, after in zip(names, planned, present, strict=True):
        if before != after:
            raise InputError(
                f'{name} changed since the run began: --overwrite starts the run again'
            )


def split_images(
    experiment: FineTune, dataset: Dataset, network: Backbone, folder: pathlib.Path
) -> tuple[Dataset, Splits, np.ndarray]:
    """Split the images; clusters of similar features are held out as a whole.

    The splits are drawn once and written to artifacts/split.npz, which a resumed run reads.

    Returns:
      The data set with its groups, the splits, and the features [n, views, features].

    Raises:
      InputError: that file is damaged, and the splits drawn again differ.
    """
    extracted = extract_features(experiment, dataset, network)
    if distributed.is_first():
        _draw_splits(experiment, dataset, extracted[:, 0], folder)
    distributed.wait('split')  # machines of different kinds might draw different splits
    with np.load(folder / workdir.SPLIT) as arrays:
        groups = tuple(map(str, arrays['groups'])) if len(arrays['groups']) else None
        splits = Splits(arrays['train'], arrays['val'], arrays['test'], str(arrays['drawn']))
    return dataclasses.replace(dataset, groups=groups), splits, extracted


def extract_features(experiment: FineTune, dataset: Dataset, network: Backbone) -> np.ndarray:
    """Features of all images by the frozen network, float32 [n, views, features]."""
    probe = experiment.probe
    return features.extract(
        network.module,
        network.variables,
        dataset.images,
        None,
        probe.probe_size,
        probe.flips,
        digests=dataset.digests,
    )


def evaluation_size(experiment: FineTune, network: Backbone) -> int:
    """Side in pixels of the images that the final network is evaluated on."""
    if 'finetune' in experiment.stages:
        return experiment.finetune.eval_size
    return probe_size(experiment, network)


def probe_size(experiment: FineTune, network: Backbone) -> int:
    """Side in pixels of the images that the probe's features are of."""
    return experiment.probe.probe_size or network.module.preprocessing.size


def model_card(
    experiment: FineTune, dataset: Dataset, splits: Splits, network: Backbone
) -> ModelCard:
    """Metadata of every checkpoint before any training: not calibrated, without scores."""
    return ModelCard(
        architecture=network.module.architecture.name,
        num_classes=len(dataset.class_names),
        class_names=tuple(dataset.class_names),
        preprocessing=network.module.preprocessing,
        eval_size=evaluation_size(experiment, network),
        views=experiment.finetune.views,
        temperature=1.0,
        adjustment=(),
        experiment=experiment.name,
        weights=experiment.weights,
        revision=network.revision,
        jaxdl=__version__,
        split=splits.drawn,
        decoded_size=int(dataset.images.shape[1]),
        ema=experiment.finetune.ema,
        data=dataset.name,
        weights_licence=network.licence,
    )


def add_head(network: Backbone, head: Head) -> tuple[Network, dict[str, Any]]:
    """The network with a head on its features: module and variables."""
    module = network.module.clone(num_classes=len(head['bias']))
    params = dict(network.variables['params'], head=dict(head))
    return module, dict(network.variables, params=params)


def rescale_features(
    network: Backbone, head: Head, features: np.ndarray
) -> tuple[Backbone, dict[str, np.ndarray]]:
    """Scale features to root mean square 1 and the head against it: the logits stay the same.

    The gradient of a head is proportional to the features. Those of the truncated Gluon network
    are 0.02, so that its head would hardly learn. A network whose features do not come from a last
    norm and a ReLU is unchanged.

    Args:
      network: network without head.
      head: head of its features.
      features: float [n, ...], those of the training images.
    """
    params = network.variables['params']
    size = float(np.sqrt(np.mean(np.square(features, dtype=np.float64))))
    if not network.module.architecture.scalable or not size:
        return network, dict(head)
    norm = {name: np.asarray(value / size, np.float32) for name, value in params['norm'].items()}
    variables = dict(network.variables, params=dict(params, norm=norm))
    kernel = np.asarray(head['kernel'] * size, np.float32)
    return dataclasses.replace(network, variables=variables), dict(head, kernel=kernel)


def zero_head(network: Backbone, classes: int) -> dict[str, np.ndarray]:
    """A head of zeros, which gives all classes the same probability."""
    shape = network.module.architecture.features, classes
    return dict(kernel=np.zeros(shape, np.float32), bias=np.zeros(classes, np.float32))


def _lowering(experiment: FineTune) -> str:
    """The lowering of convolutions: the fastest on one device; XLA's own on several.

    XLA can shard its own over the devices.
    """
    if experiment.conv:
        return experiment.conv
    if jax.device_count() > 1:
        return 'grouped'
    return 'auto' if jax.default_backend() == 'cpu' else conv.default_lowering()


def _check_side(experiment: FineTune, sides: tuple[int, ...]) -> None:
    """Check that images of `sides` (height, width) are square and large enough for a fine-tuning.

    Raises:
      InputError: they are not.
    """
    height, width = sides
    largest = max(size for _, size in _sizes(experiment))
    if height != width:
        raise InputError(
            f'data.dataset={experiment.data.dataset}: images of {height} x {width} pixels are not '
            'square: crop them to squares, or use image files, which jaxdl crops'
        )
    if height < largest:
        raise InputError(
            f'images of {height} pixels are smaller than the {largest} pixels of the network: '
            'set a larger image_size, or smaller sizes, train_size, eval_size and probe_size'
        )


def _sizes(experiment: FineTune) -> list[tuple[str, int]]:
    """Names and values of the settings that are sides of images of the network, in pixels."""
    recipe = experiment.finetune
    sizes = [('probe.probe_size', experiment.probe.probe_size)]  # 0: that of the weights
    if 'finetune' in experiment.stages:
        sizes += [('finetune.sizes', size) for size in recipe.sizes]
        sizes += [('finetune.train_size', recipe.train_size)]
        sizes += [('finetune.eval_size', recipe.eval_size)]
    return sizes


def _draw_splits(
    experiment: FineTune, dataset: Dataset, features: np.ndarray, folder: pathlib.Path
) -> None:
    """Draw the splits unless an earlier session has; where its file is damaged, draw again."""
    path, damaged_files = folder / workdir.SPLIT, workdir.find_damaged(folder, (workdir.SPLIT,))
    if path.exists() and not damaged_files:
        return
    grouped, splits = bursts.split(dataset, experiment.data, features)
    arrays = dict(
        train=splits.train, val=splits.val, test=splits.test, drawn=np.asarray(splits.drawn)
    )
    workdir.write_arrays(path, arrays | dict(groups=np.asarray(grouped.groups or ())))
    if not damaged_files:
        workdir.record(folder, (workdir.SPLIT,))
    elif workdir.find_damaged(folder, (workdir.SPLIT,)):
        raise InputError(
            f'{path} {workdir.NOT_AS_WRITTEN}, and a new draw gives another split: use --overwrite'
        )
    else:
        warn(f'{path} {workdir.NOT_AS_WRITTEN}: a new draw gave the same split')
