"""One fine-tuning from its first step to its last: fed from grain, checkpointed, evaluated.

Stopped, resumed.
"""

import dataclasses
import functools
import pathlib
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxdl.config.recipe import Recipe
from jaxdl.data import batches
from jaxdl.data.batches import Feed
from jaxdl.errors import InputError, warn
from jaxdl.finetune import fine_step
from jaxdl.finetune.fine_step import Emphasis, Examples, FineState, Phase, Setting
from jaxdl.models.resnet import ResNet
from jaxdl.runtime import checkpoint, distributed, out_of_memory, sharding
from jaxdl.runtime.signals import Failed, Interrupted
from jaxdl.statistics import classification
from jaxdl.train import keys, train_step
from jaxdl.train.variant import Variant

TRAIN, VAL = ('loss', 'accuracy'), ('loss', 'accuracy', 'top5', 'macro_f1', 'weighted_f1', 'ece')
HISTORY = (*(f'train_{name}' for name in TRAIN), *(f'val_{name}' for name in VAL))
SECONDS = (
    'compile',
    'train',
    'evaluate',
    'wait',
    'images',
)  # what a run cost, and images that it learnt from
FACTS = ('name', 'epoch', 'step', 'seconds')  # of a finished run
ASK = 10  # steps after which processes ask one another whether to stop or to save
IN_FLIGHT = 2  # steps that are dispatched before the metrics of the first of them are read


_copied = jax.jit(
    lambda tree: jax.tree.map(jnp.copy, tree)
)  # one call, where a leaf each takes as long as a step


class NotFinite(Failed):
    """The loss is no number any more; `step` from 0 on."""

    def __init__(self, step: int, kept: int | None) -> None:
        self.step = step
        where = (
            f'the checkpoint of step {kept} stays'
            if kept is not None
            else 'no checkpoint was written yet'
        )
        super().__init__(
            f'the loss of step {step} is not finite; {where}: lower learning_rate, set clip=1, or a longer warm-up'
        )


@dataclasses.dataclass(frozen=True)
class Session:
    """One process at work on a workdir, alone or among others."""

    workdir: pathlib.Path
    note: Callable[..., None]
    interrupted: Callable[[], int | None]
    checkpoint_seconds: float
    about: Mapping[str, Any]  # what every checkpoint says of itself
    mesh: Mesh


@dataclasses.dataclass(frozen=True)
class Task:
    """One run: its name, what it learns from, and how its network fares on what it does not see.

    `evaluate` gives log-probabilities [n, classes] of the images that have these `labels`; both are
    None where all images are learnt from.
    """

    name: str
    feed: Feed
    emphasis: Emphasis
    evaluate: Callable[[Mapping[str, Any]], np.ndarray] | None
    labels: np.ndarray | None


@dataclasses.dataclass
class Progress:
    """What a checkpoint holds beside the network: history float64 [epoch, HISTORY], sums so far.

    The best.
    """

    history: np.ndarray
    sums: np.ndarray  # loss, correct, steps of the epoch so far
    best: np.ndarray  # metric (larger is better), epoch from 1, 0 for none
    seconds: np.ndarray  # SECONDS


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A finished run: its history, epoch and step of its network, the variables on the host.

    And what it cost.
    """

    name: str
    history: np.ndarray
    epoch: int
    step: int
    variables: dict[str, Any]
    seconds: dict[str, float]


def slug(name: str) -> str:
    """A run's name as that of a folder."""
    return re.sub(r'\W+', '-', name)


def metric_of(found: Mapping[str, float], recipe: Recipe) -> float:
    """What a network is chosen by, of which more is better."""
    return -found['loss'] if recipe.metric == 'loss' else found[recipe.metric]


def steps_per_epoch(feed: Feed) -> int:
    """Whole batches in the images, at least one; what is left over begins the next epoch."""
    return max(1, len(feed.indices) // feed.batch_size)


def fit(
    session: Session,
    task: Task,
    module: ResNet,
    variables: Mapping[str, Any],
    variant: Variant,
    recipe: Recipe,
) -> Fitted:
    """Trains `task` from `variables` on, or goes on where an interrupted session stopped.

    Raises:
      Interrupted: a signal came; the state is saved.
      NotFinite: the loss is no number any more.
    """
    done = session.workdir / 'checkpoints' / 'done' / slug(task.name)
    found = _done(done)
    if found:
        return found
    keeper = checkpoint.Keeper(
        session.workdir / 'checkpoints' / 'train' / slug(task.name), recipe.keep
    )
    try:
        run = _Run(session, task, module, variant, recipe, keeper)
        state, progress = run.resume(fine_step.init_state(dict(variables), variant, recipe))
        state = run.train(state, progress)
        fitted = run.finish(state, progress)
    finally:
        keeper.close()
    _write(done, fitted, session.about)
    distributed.wait('written')  # what it was trained from goes once it is there
    if distributed.first():
        checkpoint.drop(session.workdir / 'checkpoints' / 'train' / slug(task.name))
    return fitted


class _Run:
    """What the steps of one run share, and the seconds that they took."""

    def __init__(
        self,
        session: Session,
        task: Task,
        module: ResNet,
        variant: Variant,
        recipe: Recipe,
        keeper: checkpoint.Keeper,
    ) -> None:
        self.session, self.task, self.module, self.variant, self.recipe = (
            session,
            task,
            module,
            variant,
            recipe,
        )
        self.keeper, self.noise = keeper, train_step.noise_of([variant])
        self.per_epoch = steps_per_epoch(task.feed)
        self.phases = fine_step.phases(recipe, self.per_epoch)
        self.steps = self.phases[-1].stop
        self.began = time.perf_counter()
        self.seconds: dict[str, float] = dict.fromkeys(SECONDS, 0.0)

    def resume(self, state: FineState) -> tuple[FineState, Progress]:
        """The newest checkpoint, or the start, on all devices."""
        epochs = self.recipe.epochs + self.recipe.fix_epochs
        progress = Progress(
            np.full((epochs, len(HISTORY)), np.nan),
            np.zeros(3),
            np.array([-np.inf, 0.0]),
            np.zeros(len(SECONDS)),
        )
        state = sharding.everywhere(state, self.session.mesh)
        like = dict(state=state, progress=vars(progress))
        found = self.keeper.restore(like)
        if found:
            state, progress = (
                found[1]['state'],
                Progress(**{k: np.array(v) for k, v in found[1]['progress'].items()}),
            )
            self.seconds |= dict(zip(SECONDS, progress.seconds.tolist(), strict=True))
            self.session.note('resume', task=self.task.name, step=found[0], steps=self.steps)
        return state, progress

    def train(self, state: FineState, progress: Progress) -> FineState:
        """All steps from where `state` stands; the epochs are in `progress`."""
        start = int(state.step)
        if start >= self.steps or self._stopped(progress):
            return state
        source = batches.batches(
            self.task.feed, start, self.steps, (jax.process_index(), jax.process_count())
        )
        for phase in (phase for phase in self.phases if phase.stop > start):
            with out_of_memory.guarded(
                f'batch_size={self.task.feed.batch_size} at {phase.size} px', out_of_memory.TRAINING
            ):
                program = self._compiled(state, phase)
                state = self._phase(state, progress, phase, program, source)
            if self._stopped(progress):
                break
        return state

    def _phase(
        self, state: FineState, progress: Progress, phase: Phase, program: Any, source: Any
    ) -> FineState:
        key, emphasis = self._constants()
        pending: deque[tuple[int, Any]] = deque()
        saved = self.began = time.perf_counter()
        for step in range(int(state.step), phase.stop):
            waiting = time.perf_counter()
            batch = sharding.batch(Examples(*next(source)), self.session.mesh)
            self.seconds['wait'] += time.perf_counter() - waiting
            state, means = program(state, batch, self.variant, key, emphasis)
            pending.append((step, means))
            self._read(pending, progress, IN_FLIGHT)
            ends = (step + 1) % self.per_epoch == 0
            signal, due = self._asked(step, ends, time.perf_counter() - saved)
            if ends or due or signal:
                self._read(pending, progress, 0)
                self.seconds['train'] += time.perf_counter() - self.began
                self.began = time.perf_counter()
                self._after(state, progress, step + 1, ends)
                saved = self.began = time.perf_counter()
            if signal:
                self.keeper.close()
                raise Interrupted(signal)
            if ends and self._stopped(progress):
                break
        return state

    def _asked(self, step: int, ends: bool, since: float) -> tuple[int, bool]:
        """The signal that came, and whether a checkpoint is due: of several processes.

        What any of them says.

        They ask one another every few steps only, since it makes them wait.
        """
        own = self.session.interrupted() or 0, since >= self.session.checkpoint_seconds
        if not distributed.several():
            return own
        if step % ASK and not ends:
            return 0, False
        signal, due = distributed.most(np.asarray(own, np.int32))
        return int(signal), bool(due)

    def _after(self, state: FineState, progress: Progress, step: int, ends: bool) -> None:
        """Evaluates where an epoch ends, and saves: in this order.

        So that a checkpoint knows its metric.
        """
        metric = self._epoch(state, progress, step) if ends else None
        progress.seconds[:] = [self.seconds[name] for name in SECONDS]
        tree = dict(state=_copied(state), progress={k: v.copy() for k, v in vars(progress).items()})
        self.keeper.save(step, tree, self.session.about, metric)

    def _epoch(self, state: FineState, progress: Progress, step: int) -> float | None:
        epoch = step // self.per_epoch
        row = dict.fromkeys(HISTORY, np.nan)
        row['train_loss'], row['train_accuracy'] = progress.sums[:2] / progress.sums[2]
        metric, rates = None, self._rates()
        if self.task.evaluate is not None and self.task.labels is not None:
            began = time.perf_counter()
            found = classification.scores(
                self.task.evaluate(fine_step.served(state, self.recipe)), self.task.labels
            )
            self.seconds['evaluate'] += time.perf_counter() - began
            row |= {f'val_{name}': found[name] for name in VAL}
            metric = metric_of(found, self.recipe)
            if np.isfinite(metric) and metric > progress.best[0]:
                progress.best[:] = metric, epoch
        progress.history[epoch - 1] = [row[name] for name in HISTORY]
        progress.sums[:] = 0
        facts = {k: round(float(v), 5) for k, v in row.items() if np.isfinite(v)}
        self.session.note(
            'epoch',
            task=self.task.name,
            epoch=epoch,
            epochs=len(progress.history),
            **facts,
            **rates,
        )
        return metric

    def _rates(self) -> dict[str, float]:
        seconds = max(self.seconds['train'] + time.perf_counter() - self.began, 1e-9)
        return dict(
            images_per_second=round(self.seconds['images'] / seconds, 2),
            input_wait=round(self.seconds['wait'] / seconds, 4),
        )

    def _read(self, pending: deque[tuple[int, Any]], progress: Progress, leave: int) -> None:
        """Adds up the metrics of all but the last few steps.

        A step whose loss is not finite ends the run.
        """
        while len(pending) > leave:
            step, means = pending.popleft()
            loss, accuracy = float(means['loss']), float(means['accuracy'])
            if not np.isfinite(loss) or not np.isfinite(float(means['gradient_norm'])):
                steps = self.keeper.manager.all_steps()
                raise NotFinite(step, max(steps, default=None))
            progress.sums += loss, accuracy, 1
            self.seconds['images'] += self.task.feed.batch_size
            self.session.note(
                'step',
                task=self.task.name,
                step=step + 1,
                steps=self.steps,
                loss=round(loss, 4),
                gradient_norm=round(float(means['gradient_norm']), 3),
                **self._rates(),
            )

    def _stopped(self, progress: Progress) -> bool:
        """Whether patience is at its end: so many epochs since the best."""
        done = int(np.isfinite(progress.history[:, 0]).sum())
        return bool(
            self.recipe.patience
            and done - progress.best[1] >= self.recipe.patience
            and progress.best[1]
        )

    def _constants(self) -> tuple[jax.Array, Emphasis]:
        return sharding.everywhere(
            (keys.seed_key(self.task.feed.seed), self.task.emphasis), self.session.mesh
        )

    def _compiled(self, state: FineState, phase: Phase) -> Any:
        """The program of a phase; one that does not fit in memory is the user's to make smaller."""
        began = time.perf_counter()
        self.session.note('compile', task=self.task.name, size=phase.size)
        schedule = self.recipe.epochs * self.per_epoch
        setting = Setting(self.module, self.recipe, phase, schedule, self.per_epoch, self.noise)
        step = functools.partial(fine_step.fine_step, setting=setting)
        whole = jax.sharding.NamedSharding(self.session.mesh, jax.sharding.PartitionSpec())
        feed = self.task.feed
        rows = feed.batch_size // jax.process_count()
        batch = sharding.batch(
            Examples(np.asarray(feed.images[np.zeros(rows, int)]), np.zeros(rows, np.int32)),
            self.session.mesh,
        )
        key, emphasis = self._constants()
        with jax.default_matmul_precision(
            'highest' if self.recipe.precision == 'float32' else 'default'
        ):
            jitted = jax.jit(step, donate_argnums=0, out_shardings=whole)
            program = jitted.lower(state, batch, self.variant, key, emphasis).compile()
        self.seconds['compile'] += time.perf_counter() - began
        return program

    def finish(self, state: FineState, progress: Progress) -> Fitted:
        """The best network by validation; the last where nothing was held out.

        Or where no epoch was better.
        """
        best = self.keeper.best() if self.task.evaluate else None
        if best is not None and best != int(state.step):
            found = self.keeper.restore(dict(state=state, progress=vars(progress)), best)
            state = found[1]['state'] if found else state
        variables = jax.tree.map(np.asarray, fine_step.served(state, self.recipe))
        step = int(state.step)
        return Fitted(
            self.task.name, progress.history, step // self.per_epoch, step, variables, self.seconds
        )


def _write(folder: pathlib.Path, fitted: Fitted, said: Mapping[str, Any]) -> None:
    about = dict(said) | {name: getattr(fitted, name) for name in FACTS}
    checkpoint.write_model(folder, dict(history=fitted.history, variables=fitted.variables), about)


def _done(folder: pathlib.Path) -> Fitted | None:
    """A run that an earlier session finished; one that cannot be read is trained again."""
    if not folder.is_dir():
        return None
    try:
        tree, about = checkpoint.read_model(folder)
    except InputError as error:
        warn(f'{error}: it is trained again')
        return None
    variables = jax.tree.map(np.asarray, tree['variables'])
    return Fitted(
        variables=variables,
        history=np.asarray(tree['history']),
        **{name: about[name] for name in FACTS},
    )
