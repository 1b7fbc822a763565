"""The networks that a run ends with, and all that is needed to ask them: written once.

Restored in one line.
"""

import contextlib
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import jax

from jaxdl.config.recipe import VIEWS
from jaxdl.errors import InputError, unknown, warn
from jaxdl.models.architectures import ARCHITECTURES, Preprocessing
from jaxdl.models.resnet import ResNet
from jaxdl.runtime import checkpoint
from jaxdl.train import averaging
from jaxdl.workdir import check_inside, read_json

FINAL, TRAINING, DONE = (pathlib.Path('checkpoints', name) for name in ('final', 'train', 'done'))
UNJUDGED: dict[str, Any] = dict(
    temperature=1.0, adjustment=[]
)  # what a network says before it was calibrated
DECODED_SIZE = 256  # side in pixels of a decoded image, where nothing else is said
# What must be said of a network before it can be asked, and the type of it.
NEEDED: dict[str, type] = dict(
    architecture=str,
    num_classes=int,
    class_names=list,
    preprocessing=dict,
    eval_size=int,
    views=str,
    temperature=float,
    adjustment=list,
)
USUAL: dict[str, Any] = dict(
    experiment='', weights='', revision='', jaxdl='', split='', scores={}, decoded_size=DECODED_SIZE
)


@dataclass(frozen=True)
class Snapshot:
    """Networks of one architecture that answer together, and `about`.

    The keys of NEEDED and USUAL.
    """

    module: ResNet
    members: tuple[Any, ...]
    about: dict[str, Any]


def save(workdir: pathlib.Path, members: Sequence[Any], about: Mapping[str, Any]) -> None:
    """Writes the final checkpoint of a run: variables of each network.

    And `about` with at least the keys of NEEDED.

    Raises:
      InputError: `about` lacks a key, or does not fit the networks.
    """
    module = _module(about, members, 'the final checkpoint')
    described = USUAL | dict(about) | dict(preprocessing=asdict(module.preprocessing))
    checkpoint.write_model(
        workdir / FINAL, {f'{i:04}': member for i, member in enumerate(members)}, described
    )


def load(workdir: pathlib.Path) -> Snapshot:
    """The networks of a workdir, on this process's first device.

    Of a run that did not end, or whose final checkpoint is damaged, it is the newest of the
    training, and a line on stderr says so.

    Raises:
      InputError: no run is there, one that keeps no networks, or one that has saved none yet.
    """
    _check(workdir)
    try:
        tree, about = checkpoint.read_model(workdir / FINAL)
        members = [tree[name] for name in sorted(tree)]
    except InputError as error:
        found = _trained(workdir)
        if not found:
            raise _none(workdir, error) from None
        name, step, members, about = found
        reason = error if (workdir / FINAL).exists() else f'{workdir} is not finished'
        warn(f'{reason}: taking {name} as it was before step {step}')
    module = _module(about, members, f'the checkpoint of {workdir}')
    return Snapshot(
        module,
        tuple(jax.device_put(member, jax.local_devices()[0]) for member in members),
        USUAL | about,
    )


def _check(workdir: pathlib.Path) -> None:
    check_inside(workdir)
    if not workdir.is_dir():
        what = 'is a file' if workdir.exists() else 'does not exist'
        raise InputError(
            f'checkpoint {workdir} {what}: give the workdir of a run of probe, finetune or challenge'
        )
    config = workdir / 'config.json'
    kind = str(read_json(config).get('kind', 'FineTune')) if config.exists() else 'FineTune'
    if kind != 'FineTune':
        a = 'an' if kind[:1] in 'AEIO' else 'a'
        raise InputError(
            f'checkpoint {workdir} holds {a} {kind.lower()}, which keeps no networks: '
            'give the workdir of a run of probe, finetune or challenge'
        )


def _none(workdir: pathlib.Path, error: InputError) -> InputError:
    if (workdir / FINAL).exists():
        return InputError(
            f'{error}, and there is none of the training: run it again with --overwrite'
        )
    if (workdir / 'config.json').exists():
        return InputError(
            f'checkpoint {workdir}: the run has saved no network yet; the same command again resumes it'
        )
    return InputError(
        f'checkpoint {workdir} holds no run: give the workdir of a run of probe, finetune or challenge'
    )


def _trained(workdir: pathlib.Path) -> tuple[str, int, list[Any], dict[str, Any]] | None:
    """Name, step, network and `about` of the training that is farthest.

    None where there is none.
    """
    top, done = workdir / TRAINING, workdir / DONE
    found = []
    for folder in sorted(done.iterdir()) if done.is_dir() else []:
        if folder.name == 'probe' or folder.name.startswith('.'):
            continue
        with contextlib.suppress(InputError):  # a damaged one: another may serve
            tree, about = checkpoint.read_model(folder)
            found.append((folder.name, about['step'], [tree['variables']], UNJUDGED | about))
    if found:
        return found[0]
    for folder in sorted(top.iterdir()) if top.is_dir() else []:
        newest = checkpoint.newest(folder)
        if newest:
            step, tree, about = newest
            state = tree['state']  # a TrainState, beside the progress of the training
            found.append(
                (folder.name, step, [_served(state, step, about.get('ema', 0))], UNJUDGED | about)
            )
    return max(found, key=lambda own: own[1], default=None)


def _served(state: Mapping[str, Any], step: int, ema: float) -> dict[str, Any]:
    """The averaged weights of a training that has such, else those of its last step."""
    names = ('params', 'batch_stats')
    if not ema or not step:
        return {name: state[name] for name in names}
    return dict(zip(names, averaging.corrected(tuple(state['ema']), ema, step), strict=True))


def _module(about: Mapping[str, Any], members: Sequence[Any], where: str) -> ResNet:
    """The module that `about` describes, once both it and the networks are what they must be."""
    for key, kind in NEEDED.items():
        if key not in about:
            raise InputError(
                f'{where} does not say its {key}, as other versions of jaxdl did not: run it again with --overwrite'
            )
        if not isinstance(about[key], kind) and not (kind is float and isinstance(about[key], int)):
            raise InputError(
                f'{where} is damaged: {key}={about[key]!r} must be of type {kind.__name__}: put it back from a copy'
            )
    if about['architecture'] not in ARCHITECTURES:
        raise unknown('architecture', about['architecture'], ARCHITECTURES, f' in {where}')
    if about['views'] not in VIEWS:
        raise unknown('views', about['views'], VIEWS, f' in {where}')
    try:
        given: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in about['preprocessing'].items()
        }
        preprocessing = Preprocessing(**given)
        outputs = [len(member['params']['head']['bias']) for member in members]
    except (TypeError, KeyError) as error:
        raise InputError(
            f'{where} is not that of a classifier ({type(error).__name__}: {error}): give that of a fine-tuning'
        ) from None
    _check_classes(about, outputs, where)
    return ResNet(ARCHITECTURES[about['architecture']], about['num_classes'], preprocessing)


def _check_classes(about: Mapping[str, Any], outputs: Sequence[int], where: str) -> None:
    """InputError unless classes, names, adjustment and every network's outputs are as many."""
    count, names, adjustment = about['num_classes'], about['class_names'], about['adjustment']
    if not outputs:
        raise InputError(f'{where} holds no network: run it again with --overwrite')
    wrong = {
        'class names': len(names) != count,
        'outputs': any(own != count for own in outputs),
        'adjustments': len(adjustment) not in (0, count),
    }
    sizes = {'class names': len(names), 'outputs': outputs[0], 'adjustments': len(adjustment)}
    for what in (what for what, bad in wrong.items() if bad):
        raise InputError(
            f'{where}: {sizes[what]} {what} for {count} classes: run it again with --overwrite'
        )
