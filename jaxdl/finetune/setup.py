"""Where a fine-tuning begins: the network, the images, how they are split.

And what is asked of all of it first.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxdl import workdir
from jaxdl._version import __version__
from jaxdl.config.experiment import FineTune
from jaxdl.data import Dataset, Splits, bursts, load
from jaxdl.errors import InputError, damaged, warn
from jaxdl.inference import features, tta
from jaxdl.models import conv, load_pretrained, weights
from jaxdl.models.resnet import ResNet
from jaxdl.runtime import distributed, sharding, tracking
from jaxdl.train import losses, masks
from jaxdl.workdir.checksums import checksum

EVALUATED = 32  # images at once


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A network without head, the variables of it on the host, and where they are from."""

    module: ResNet
    variables: dict[str, Any]
    revision: str


def check(experiment: FineTune) -> None:
    """InputError for settings that a pretrained network cannot have.

    Or that do not fit one another.
    """
    own, recipe = experiment.variant, experiment.finetune
    if not experiment.weights:
        raise InputError(
            'no weights: --set=weights=FILE (.safetensors, .npz, .pth, .th), or a hub id, as in '
            '--set=weights=timm/resnet50.a1_in1k'
        )
    if losses.find(own.loss).activation is not jax.nn.softmax:
        raise InputError(
            f'variant.loss={own.loss}: a fine-tuned network ends in a softmax: softmax_cross_entropy'
        )
    tracking.check(experiment.trackers)
    if recipe.precision == 'bfloat16' and experiment.conv == 'onednn':
        raise InputError('conv=onednn computes in float32 alone: precision=float32, or conv=auto')
    if recipe.norms == 'batch' and any('_' in name for name in recipe.frozen):
        raise InputError(
            f'finetune.frozen={list(recipe.frozen)}: with norms=batch whole stages are frozen: stem, layer1, ...'
        )
    if not experiment.data.fractions[1]:
        raise InputError(
            'data.fractions: a fine-tuning needs images to validate on: the second share must be above 0'
        )
    parts = jax.device_count() * recipe.accumulation
    if own.batch_size % parts:
        near = max(parts, round(own.batch_size / parts) * parts)
        raise InputError(
            f'variant.batch_size={own.batch_size}: {jax.device_count()} devices and accumulation={recipe.accumulation} '
            f'divide it by {parts}: set batch_size={near}'
        )
    if recipe.folds > 1 and recipe.average == 'soup':
        raise InputError(
            'finetune.average=soup: networks of different folds have no common validation: folds=1'
        )


def backbone(experiment: FineTune) -> Backbone:
    """The pretrained network without head, its convolutions as this process can do them best."""
    read = weights.read(experiment.weights, experiment.revision or None)
    module, variables = load_pretrained(read, experiment.architecture or None, num_classes=0)
    masks.frozen(
        dict(variables['params'], head={}), experiment.finetune.frozen
    )  # refuses what is not there
    return Backbone(
        module.clone(lowering=lowering(experiment), remat=experiment.finetune.remat),
        variables,
        read.revision,
    )


def lowering(experiment: FineTune) -> str:
    """One device: what is fastest there. Of several, XLA's own, which it cuts over them."""
    return experiment.conv or (
        'grouped'
        if jax.device_count() > 1
        else 'auto'
        if jax.default_backend() == 'cpu'
        else conv.usual()
    )


def pin_revision(experiment: FineTune, folder: pathlib.Path, overwrite: bool = False) -> FineTune:
    """The experiment with the commit of its weights on the hub, whatever branch it names.

    The first process resolves the commit, so that no other process reads other weights. A resumed
    run keeps the commit that it began with.
    """

    def resolve() -> str:
        path = folder / 'config.json'
        config = workdir.read_json(path) if path.exists() and not overwrite else {}
        if config.get('weights') == experiment.weights and not experiment.revision:
            return config.get('revision', '')
        return weights.commit(experiment.weights, experiment.revision or None)

    return dataclasses.replace(experiment, revision=distributed.told(resolve))


def images_of(experiment: FineTune) -> Dataset:
    """The labelled images, uint8 [n, side, side, 3] but for grey ones, which stay of one channel.

    InputError: they are no such images, or smaller than the network is to see them.
    """
    dataset = load(experiment.data)
    images = dataset.images
    if images.dtype != np.uint8 or images.shape[-1] not in (1, 3):
        raise InputError(
            f'data.dataset={experiment.data.dataset}: {images.dtype} {list(images.shape)}: a pretrained network takes '
            'images of bytes, [n, height, width, 3 or 1]'
        )
    _check_side(experiment, images.shape[1:3])
    if images.shape[-1] == 1:
        dataset = dataclasses.replace(dataset, images=np.repeat(images, 3, -1))
    return dataset


def _check_side(experiment: FineTune, sides: tuple[int, ...]) -> None:
    recipe, (height, width) = experiment.finetune, sides
    sizes = (
        (*recipe.sizes, recipe.train_size, recipe.eval_size)
        if 'finetune' in experiment.stages
        else ()
    )
    asked = max(*sizes, experiment.probe.probe_size, 1)
    if height != width:
        raise InputError(
            f'data.dataset={experiment.data.dataset}: images of {height} x {width} pixels are not square: cut them '
            'to squares, or give files, which are cut as they are decoded'
        )
    if height < asked:
        raise InputError(
            f'images of {height} pixels, and the network is to see {asked}: set a larger image_size, or smaller sizes, '
            'train_size, eval_size and probe_size'
        )


def check_unchanged(dataset: Dataset, network: Backbone, folder: pathlib.Path) -> None:
    """InputError where a run that goes on finds other images, or other weights.

    Than it began with.
    """
    path = folder / 'plan.json'
    if not path.exists():
        return
    plan = workdir.read_json(path)
    now = dict(data=dataset.checksum(), weights=checksum(network.variables))
    with damaged(f'{path} is damaged', '--overwrite starts the run anew'):
        held = dict(data=plan['data']['checksum'], weights=plan['model']['weights_checksum'])
    for what, name in dict(data=f'data set {dataset.name} has', weights='the weights have').items():
        if now[what] != held[what]:
            raise InputError(f'{name} changed since the run began: --overwrite starts it anew')


def split(
    experiment: FineTune, dataset: Dataset, network: Backbone, folder: pathlib.Path
) -> tuple[Dataset, Splits, np.ndarray]:
    """The data with its groups, its parts, and the features [n, views.

    Features] by which whole clusters are held out.

    Parts and groups are written to artifacts/split.npz once; a run that is resumed takes them from
    there.

    InputError: that file is damaged, and drawn again the parts are others.
    """
    found = extracted(experiment, dataset, network)
    if distributed.first():
        _drawn_once(experiment, dataset, found[:, 0], folder)
    distributed.wait('split')  # of unlike machines each might draw another
    indices = workdir.read_arrays(folder / workdir.SPLIT)
    groups = tuple(map(str, indices['groups'])) or None
    parts = Splits(indices['train'], indices['val'], indices['test'], str(indices['drawn']))
    return dataclasses.replace(dataset, groups=groups), parts, found


def _drawn_once(
    experiment: FineTune, dataset: Dataset, found: np.ndarray, folder: pathlib.Path
) -> None:
    """Draws the parts where an earlier session has not, or where what it wrote is damaged."""
    lost = workdir.damaged(folder, (workdir.SPLIT,))
    if (folder / workdir.SPLIT).exists() and not lost:
        return
    _draw(experiment, dataset, found, folder / workdir.SPLIT)
    if not lost:
        workdir.record(folder, (workdir.SPLIT,))
    elif workdir.damaged(folder, (workdir.SPLIT,)):
        raise InputError(
            f'{folder / workdir.SPLIT} {workdir.NOT_AS_WRITTEN}, and drawn again it is another: use --overwrite'
        )
    else:
        warn(f'{folder / workdir.SPLIT} {workdir.NOT_AS_WRITTEN}: it is drawn again, and the same')


def _draw(experiment: FineTune, dataset: Dataset, found: np.ndarray, path: pathlib.Path) -> None:
    dataset, parts = bursts.split(dataset, experiment.data, found)
    arrays = dict(train=parts.train, val=parts.val, test=parts.test, drawn=np.asarray(parts.drawn))
    workdir.write_arrays(path, arrays | dict(groups=np.asarray(dataset.groups or ())))


def extracted(experiment: FineTune, dataset: Dataset, network: Backbone) -> np.ndarray:
    """Features float32 [n, views, features] of all images, by the frozen network."""
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


def about(
    experiment: FineTune, dataset: Dataset, parts: Splits, network: Backbone, size: int
) -> dict[str, Any]:
    """What a checkpoint says of itself (`snapshot.NEEDED`), before anything has been learnt."""
    return dict(
        architecture=network.module.architecture.name,
        num_classes=len(dataset.class_names),
        class_names=list(dataset.class_names),
        preprocessing=dataclasses.asdict(network.module.preprocessing),
        eval_size=size,
        views=experiment.finetune.views,
        temperature=1.0,
        adjustment=[],
        experiment=experiment.name,
        weights=experiment.weights,
        revision=network.revision,
        jaxdl=__version__,
        split=parts.drawn,
        scores={},
        decoded_size=int(dataset.images.shape[1]),
        ema=experiment.finetune.ema,
    )


def with_head(network: Backbone, head: Mapping[str, np.ndarray]) -> tuple[ResNet, dict[str, Any]]:
    """The network with a head: `kernel` [features, classes] and `bias` [classes]."""
    module = network.module.clone(num_classes=len(head['bias']))
    params = dict(network.variables['params'], head=dict(head))
    return module, dict(network.variables, params=params)


def scaled(
    network: Backbone, head: Mapping[str, np.ndarray], features: np.ndarray
) -> tuple[Backbone, dict[str, Any]]:
    """The same logits from features of root mean square 1, where a last norm and a ReLU make them.

    Its scale grows.

    Fine-tuning is not blind to it: the gradient of a head is as large as the features are. Those of
    the truncated Gluon network are 0.02, so that its head would hardly learn. `features` [n, ...]
    are those of the training images.
    """
    params, size = (
        network.variables['params'],
        float(np.sqrt(np.mean(np.square(features, dtype=np.float64)))),
    )
    if 'norm' not in params or not size:
        return network, dict(head)
    norm = {name: np.asarray(value / size, np.float32) for name, value in params['norm'].items()}
    grown = dataclasses.replace(
        network, variables=dict(network.variables, params=dict(params, norm=norm))
    )
    return grown, dict(head, kernel=np.asarray(head['kernel'] * size, np.float32))


def zeros(network: Backbone, classes: int) -> dict[str, np.ndarray]:
    """A head that says nothing yet."""
    return dict(
        kernel=np.zeros((network.module.architecture.features, classes), np.float32),
        bias=np.zeros(classes, np.float32),
    )


def answers(
    module: ResNet,
    members: Sequence[Any],
    said: Mapping[str, Any],
    images: np.ndarray,
    indices: np.ndarray,
    more: Callable[[int], None] | None = None,
) -> np.ndarray:
    """Log-probabilities float32 [k, classes] (`tta.log_probabilities`) of the images `indices` [k].

    By all processes.

    Each process asks for its share of the images, on all of its devices, and is told what the
    others found.
    """
    local = jax.make_mesh(
        (jax.local_device_count(),),
        (sharding.DATA,),
        devices=jax.local_devices(),
        axis_types=(jax.sharding.AxisType.Auto,),
    )
    place = jax.sharding.NamedSharding(local, jax.sharding.PartitionSpec(sharding.DATA))
    held = [
        jax.device_put(member, jax.sharding.NamedSharding(local, jax.sharding.PartitionSpec()))
        for member in members
    ]
    count, size = jax.process_count(), EVALUATED * jax.local_device_count()
    share = -(-len(indices) // count)
    own = (
        np.resize(indices, share * count)[jax.process_index() * share :][:share]
        if len(indices)
        else indices
    )

    def ask(batch: np.ndarray) -> jax.Array:
        spare = -len(batch) % jax.local_device_count()
        padded = np.concatenate([batch, np.repeat(batch[-1:], spare, 0)]) if spare else batch
        return tta.log_probabilities(module, held, said, jax.device_put(padded, place))[
            : len(batch)
        ]

    batches = (np.asarray(images[own[i : i + size]]) for i in range(0, len(own), size))
    found = [*tta.in_batches(batches, ask, size, more)]
    rows = np.concatenate(found) if found else np.zeros((0, module.num_classes), np.float32)
    if count > 1:
        from jax.experimental import multihost_utils

        rows = np.concatenate(multihost_utils.process_allgather(rows))[: len(indices)]
    return rows
