"""Final checkpoint of a run: its networks and their model card, written once.

Where a run has not ended, its training checkpoints take the place of the final checkpoint.
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxdl.config.recipe import VIEWS
from jaxdl.data.decode import FITS
from jaxdl.errors import InputError, unknown, warn
from jaxdl.models import embedded, port, weights
from jaxdl.models.architectures import ARCHITECTURES
from jaxdl.models.families import make_network
from jaxdl.models.network import Network
from jaxdl.runtime import checkpoint
from jaxdl.train import averaging
from jaxdl.workdir import check_inside, read_json, records
from jaxdl.workdir.records import ModelCard, Preprocessing

FINAL, TRAINING, DONE = (pathlib.Path('checkpoints', name) for name in ('final', 'train', 'done'))
RUNS = (
    f'give the workdir of a run of probe, finetune or challenge, or {", ".join(embedded.EMBEDDED)}'
)


@dataclasses.dataclass(frozen=True)
class SavedModel:
    """Networks of one architecture whose probabilities are averaged.

    Attributes:
      module: the module of every network.
      members: variables of each network, on the host.
      card: metadata.
    """

    module: Network
    members: tuple[Any, ...]
    card: ModelCard


@dataclasses.dataclass(frozen=True)
class _Training:
    """Network of a training that ended (`checkpoints/done`) or was interrupted."""

    name: str
    step: int
    variables: Any
    metadata: Mapping[str, Any]


def save(workdir: pathlib.Path, members: Sequence[Any], card: ModelCard) -> None:
    """Write the final checkpoint of a run.

    Args:
      workdir: of the run.
      members: variables of each network.
      card: metadata.

    Raises:
      InputError: the card does not fit the networks.
    """
    _make_module(card, members, 'the final checkpoint')
    tree = {f'{i:04}': member for i, member in enumerate(members)}
    checkpoint.write_model(workdir / FINAL, tree, records.as_json(card))


def load(workdir: pathlib.Path) -> SavedModel:
    """Load the networks of a workdir, or embedded weights by their name.

    Where the run has not ended, or its final checkpoint is damaged, the network is that of the
    training with the most steps, and a line on stderr says so.

    Raises:
      InputError: no run is there, it keeps no networks, or it has saved none yet.
    """
    if embedded.is_embedded(str(workdir)):
        return _load_embedded(str(workdir))
    _check_workdir(workdir)
    try:
        tree, metadata = checkpoint.read_model(workdir / FINAL)
        members = [tree[name] for name in sorted(tree)]
    except InputError as error:
        training = _find_longest(workdir)
        if not training:
            raise _describe_missing(workdir, error) from None
        members, metadata = [training.variables], training.metadata
        reason = error if (workdir / FINAL).exists() else f'{workdir} is not finished'
        warn(f'{reason}: taking {training.name} as it was before step {training.step}')
    where = f'the checkpoint of {workdir}'
    card = parse_card(metadata, where)
    module = _make_module(card, members, where)
    return SavedModel(module, tuple(jax.tree.map(np.asarray, member) for member in members), card)


def _load_embedded(name: str) -> SavedModel:
    """A row of EMBEDDED as it is: a classifier of the classes of ImageNet, not calibrated."""
    read = weights.read(name)
    module, variables, _ = port.load(read)
    preprocessing = module.preprocessing
    card = ModelCard(
        architecture=module.architecture.name,
        num_classes=module.num_classes,
        class_names=embedded.read_imagenet_classes(),
        preprocessing=preprocessing,
        eval_size=preprocessing.size,
        views='none',
        temperature=1.0,
        adjustment=(),
        weights=name,
        decoded_size=round(preprocessing.size / preprocessing.crop),
        weights_licence=read.licence,
    )
    return SavedModel(module, (variables,), card)


def parse_card(metadata: Mapping[str, Any], where: str) -> ModelCard:
    """The model card in a checkpoint's metadata; further keys are ignored.

    Args:
      metadata: JSON values.
      where: name of the checkpoint, for error messages.

    Raises:
      InputError: a key is missing, or a value has another type.
    """
    try:
        card = records.parse(ModelCard, metadata)
        # Earlier checkpoints have no `fit`: they are of the default.
        names = {field.name for field in dataclasses.fields(Preprocessing)} - {'fit'}
        missing = sorted(names - set(metadata['preprocessing']))
        if missing:
            raise InputError(f'it lacks preprocessing.{", preprocessing.".join(missing)}')
    except InputError as error:
        raise InputError(
            f'{where} is damaged ({error}): put it back from a copy, '
            'or run it again with --overwrite'
        ) from None
    return card


def _check_workdir(workdir: pathlib.Path) -> None:
    check_inside(workdir)
    if not workdir.is_dir():
        problem = 'is a file' if workdir.exists() else 'does not exist'
        raise InputError(f'checkpoint {workdir} {problem}: {RUNS}')
    config = workdir / 'config.json'
    kind = str(read_json(config).get('kind', 'FineTune')) if config.exists() else 'FineTune'
    if kind != 'FineTune':
        if kind == 'Ablation':
            raise InputError(
                f'checkpoint {workdir} holds an ablation, whose networks only --mode=predict and '
                f'--mode=export take: {RUNS}'
            )
        article = 'an' if kind[:1] in 'AEIO' else 'a'
        raise InputError(
            f'checkpoint {workdir} holds {article} {kind.lower()}, which keeps no networks: {RUNS}'
        )


def _describe_missing(workdir: pathlib.Path, error: InputError) -> InputError:
    if (workdir / FINAL).exists():
        return InputError(
            f'{error}, and there is no training checkpoint: run it again with --overwrite'
        )
    if (workdir / 'config.json').exists():
        return InputError(
            f'checkpoint {workdir}: the run has saved no network yet; the same command resumes it'
        )
    return InputError(f'checkpoint {workdir} holds no run: {RUNS}')


def _find_longest(workdir: pathlib.Path) -> _Training | None:
    """The training with the most steps: of those that ended, else of those interrupted."""
    for trainings in (_read_finished(workdir / DONE), _read_interrupted(workdir / TRAINING)):
        farthest = max(trainings, key=lambda training: training.step, default=None)
        if farthest:
            return farthest
    return None


def _read_finished(top: pathlib.Path) -> Iterator[_Training]:
    for folder in sorted(top.iterdir()) if top.is_dir() else []:
        if folder.name == 'probe' or folder.name.startswith('.'):
            continue
        with contextlib.suppress(InputError):  # a damaged one is left out
            tree, metadata = checkpoint.read_model(folder)
            yield _Training(folder.name, metadata['step'], tree['variables'], metadata)


def _read_interrupted(top: pathlib.Path) -> Iterator[_Training]:
    for folder in sorted(top.iterdir()) if top.is_dir() else []:
        newest = checkpoint.newest(folder)
        if newest:
            step, tree, metadata = newest
            variables = _select_variables(tree['state'], step, metadata.get('ema', 0))
            yield _Training(folder.name, step, variables, metadata)


def _select_variables(state: Mapping[str, Any], step: int, ema: float) -> dict[str, Any]:
    """Variables for evaluation: the averaged ones where there are such, else the last step's."""
    names = ('params', 'batch_stats')
    if not ema or not step:
        return {name: state[name] for name in names}
    return dict(zip(names, averaging.correct_bias(tuple(state['ema']), ema, step), strict=True))


def _make_module(card: ModelCard, members: Sequence[Any], where: str) -> Network:
    """The module that a card describes, once it fits the networks."""
    if card.architecture not in ARCHITECTURES:
        raise unknown('architecture', card.architecture, ARCHITECTURES, f' in {where}')
    if card.preprocessing.fit not in FITS:
        raise unknown('fit', card.preprocessing.fit, FITS, f' in {where}')
    if card.views not in VIEWS:
        raise unknown('views', card.views, VIEWS, f' in {where}')
    try:
        outputs = [len(member['params']['head']['bias']) for member in members]
    except (TypeError, KeyError) as error:
        raise InputError(
            f'{where} is not a classifier ({type(error).__name__}: {error}): '
            'use the checkpoint of a fine-tuning'
        ) from None
    _check_classes(card, outputs, where)
    return make_network(ARCHITECTURES[card.architecture], card.num_classes, card.preprocessing)


def _check_classes(card: ModelCard, outputs: Sequence[int], where: str) -> None:
    """InputError unless classes, names, adjustments and every network's outputs are as many."""
    if not outputs:
        raise InputError(f'{where} holds no network: run it again with --overwrite')
    sizes = {'class names': len(card.class_names), 'adjustments': len(card.adjustment)}
    sizes |= {'outputs': next((n for n in outputs if n != card.num_classes), card.num_classes)}
    for name, size in sizes.items():
        if size != card.num_classes and not (name == 'adjustments' and size == 0):
            raise InputError(
                f'{where}: {size} {name} for {card.num_classes} classes: '
                'run it again with --overwrite'
            )
