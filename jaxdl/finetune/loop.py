"""Training loop of a fine-tuning: sharded batches, checkpoints, evaluation, early stopping, resume.

The loss and its gradient are those of `train.train_step`; batches come from grain.
"""

import dataclasses
import functools
import pathlib
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxdl.config.recipe import Recipe
from jaxdl.data import batches
from jaxdl.data.batches import Feed
from jaxdl.errors import InputError, warn
from jaxdl.finetune import phases
from jaxdl.finetune.phases import Phase
from jaxdl.models.network import Network
from jaxdl.runtime import checkpoint, distributed, out_of_memory, sharding
from jaxdl.runtime.signals import Interrupted, TrainingFailed
from jaxdl.statistics import classification
from jaxdl.train import keys, train_step
from jaxdl.train.settings import StepSettings, TrainSettings
from jaxdl.train.train_step import Batch, StepConfig, Timeline, TrainState
from jaxdl.workdir.records import ModelCard, as_json

TRAIN, VAL = ('loss', 'accuracy'), ('loss', 'accuracy', 'top5', 'macro_f1', 'weighted_f1', 'ece')
HISTORY = (*(f'train_{name}' for name in TRAIN), *(f'val_{name}' for name in VAL))
# Seconds of a run, and the number of images that it was trained on.
SECONDS = ('compile', 'train', 'evaluate', 'wait', 'images')
FACTS = (
    'name',
    'epoch',
    'step',
    'seconds',
)  # of a trained network, next to its checkpoint metadata
EXCHANGE_STEPS = 10  # steps after which processes agree on whether to stop or to save
IN_FLIGHT = 2  # steps that are dispatched before the metrics of the first of them are read
PROGRAMS = 4  # compiled training programs that a process keeps


class NotFinite(TrainingFailed):
    """The loss of a step is not finite.

    Attributes:
      step: the step, from 0 on.
      history: float64 [epoch, HISTORY] of the training so far.
    """

    def __init__(self, step: int, last_checkpoint: int | None, history: np.ndarray) -> None:
        self.step, self.history = step, history
        saved = 'no checkpoint was written yet'
        if last_checkpoint is not None:
            saved = f'the checkpoint of step {last_checkpoint} stays'
        super().__init__(
            f'the loss of step {step} is not finite; {saved}: lower learning_rate, set clip=1, '
            'or a longer warm-up'
        )


@dataclasses.dataclass(frozen=True)
class RunContext:
    """One process of a run, alone or among others.

    Attributes:
      workdir: folder of the run.
      note: writes an event to the journal.
      interrupted: number of a signal that came, or None.
      checkpoint_seconds: the most work that a killed run repeats.
      card: metadata of every checkpoint.
      mesh: all devices of all processes.
    """

    workdir: pathlib.Path
    note: Callable[..., None]
    interrupted: Callable[[], int | None]
    checkpoint_seconds: float
    card: ModelCard
    mesh: Mesh


@dataclasses.dataclass(frozen=True)
class TrainingJob:
    """One network to train.

    Attributes:
      name: name in results.csv and of its folder of checkpoints.
      feed: images and labels to train on.
      class_shares: float [classes], shares of the classes among them.
      evaluate: variables -> log-probabilities [n, classes] of held-out images; None where every
        image is trained on.
      labels: int [n], labels of the held-out images; None likewise.
    """

    name: str
    feed: Feed
    class_shares: np.ndarray
    evaluate: Callable[[Mapping[str, Any]], np.ndarray] | None
    labels: np.ndarray | None


@dataclasses.dataclass
class TrainingProgress:
    """Part of a checkpoint next to the state.

    Attributes:
      history: float64 [epoch, HISTORY]; not a number where an epoch was not trained.
      sums: loss, accuracy and steps of the epoch so far.
      seconds: SECONDS so far.
    """

    history: np.ndarray
    sums: np.ndarray
    seconds: np.ndarray


@dataclasses.dataclass(frozen=True)
class TrainedNetwork:
    """A network after its training.

    Attributes:
      name: name of its job.
      history: float64 [epoch, HISTORY].
      epoch: of the variables, from 1 on.
      step: of the variables, from 1 on.
      variables: NumPy arrays.
      seconds: SECONDS, by name.
    """

    name: str
    history: np.ndarray
    epoch: int
    step: int
    variables: dict[str, Any]
    seconds: dict[str, float]


def train_network(
    context: RunContext,
    job: TrainingJob,
    module: Network,
    variables: Mapping[str, Any],
    settings: TrainSettings,
    recipe: Recipe,
) -> TrainedNetwork:
    """Train a network from `variables` on, resume its training, or read it where it is done.

    Raises:
      Interrupted: a signal came; the state is saved.
      NotFinite: the loss is not finite any more.
    """
    finished = context.workdir / 'checkpoints' / 'done' / folder_name(job.name)
    training = context.workdir / 'checkpoints' / 'train' / folder_name(job.name)
    network = _read_trained(finished)
    if network:
        return network
    keeper = checkpoint.Keeper(training, recipe.keep)
    try:
        loop = _Loop(context, job, module, phases.step_settings(settings, recipe), recipe, keeper)
        state, progress = loop.restore(dict(variables))
        state = loop.train(state, progress)
        network = loop.best_network(state, progress)
    finally:
        keeper.close()
    _write_trained(finished, network, context.card)
    distributed.wait('written')  # the checkpoints of the training go once the network is there
    if distributed.is_first():
        checkpoint.drop(training)
    return network


def folder_name(name: str) -> str:
    """The name of a job's folder."""
    return re.sub(r'\W+', '-', name)


def select_metric(scores: Mapping[str, float], recipe: Recipe) -> float:
    """The metric that networks are chosen by; more is better."""
    return -scores['loss'] if recipe.metric == 'loss' else scores[recipe.metric]


def steps_per_epoch(feed: Feed) -> int:
    """Whole batches in the images, at least one; images left over begin the next epoch."""
    return max(1, len(feed.indices) // feed.batch_size)


def find_stop_epoch(history: np.ndarray, recipe: Recipe) -> int | None:
    """The epoch at whose end patience stops the training of all layers; None: not so far.

    Args:
      history: float64 [epoch, HISTORY].
      recipe: `patience` epochs in a row without a better metric stop the training.
    """
    best, best_epoch = -np.inf, 0
    for epoch, row in enumerate(history[: recipe.epochs] if recipe.patience else (), 1):
        metric = select_metric(dict(zip(VAL, row[len(TRAIN) :], strict=True)), recipe)
        if np.isfinite(metric) and metric > best:
            best, best_epoch = metric, epoch
        if np.isfinite(row[0]) and best_epoch and epoch - best_epoch >= recipe.patience:
            return epoch
    return None


class _Loop:
    """The steps of one training, and the seconds that they take."""

    def __init__(
        self,
        context: RunContext,
        job: TrainingJob,
        module: Network,
        settings: StepSettings,
        recipe: Recipe,
        keeper: checkpoint.Keeper,
    ) -> None:
        self.context, self.job, self.module = context, job, module
        self.settings, self.recipe, self.keeper = settings, recipe, keeper
        self.per_epoch = steps_per_epoch(job.feed)
        self.epochs = recipe.epochs + recipe.fix_epochs
        self.steps = self.epochs * self.per_epoch
        self.began = time.perf_counter()
        self.seconds: dict[str, float] = dict.fromkeys(SECONDS, 0.0)

    def restore(self, variables: dict[str, Any]) -> tuple[TrainState, TrainingProgress]:
        """The newest checkpoint, or the state before the first step, on all devices."""
        parts = train_step.parts_of([self.settings])
        state = train_step.state_of(variables, self.settings, parts)
        state = sharding.replicate_on_processes(state, self.context.mesh)
        history = np.full((self.epochs, len(HISTORY)), np.nan)
        progress = TrainingProgress(history, np.zeros(3), np.zeros(len(SECONDS)))
        restored = self.keeper.restore(dict(state=state, progress=vars(progress)))
        if restored:
            step, tree = restored
            state = tree['state']
            progress = TrainingProgress(**{k: np.array(v) for k, v in tree['progress'].items()})
            self.seconds |= dict(zip(SECONDS, progress.seconds.tolist(), strict=True))
            self.context.note('resume', task=self.job.name, step=step, steps=self.steps)
        return state, progress

    def train(self, state: TrainState, progress: TrainingProgress) -> TrainState:
        """Run all phases from the step of `state` on; `progress` is updated in place."""
        start, process = int(state.step), (jax.process_index(), jax.process_count())
        if not self._phase(start, progress):
            return state
        source = batches.batches(self.job.feed, start, self.steps, process)
        while phase := self._phase(int(state.step), progress):
            size = f'batch_size={self.job.feed.batch_size} at {phase.size} px'
            with out_of_memory.convert_memory_errors(size, out_of_memory.TRAINING):
                program = self._compile(state, phase)
                state = self._run_phase(state, progress, phase, program, source)
        return state

    def best_network(self, state: TrainState, progress: TrainingProgress) -> TrainedNetwork:
        """The best network by validation; the last one where no epoch was measured."""
        best = self.keeper.best() if self.job.evaluate else None
        if best is not None and best != int(state.step):
            restored = self.keeper.restore(dict(state=state, progress=vars(progress)), best)
            state = restored[1]['state'] if restored else state
        variables = jax.tree.map(np.asarray, train_step.select_variables(state, self.recipe.ema))
        step = int(state.step)
        epoch = step // self.per_epoch
        return TrainedNetwork(self.job.name, progress.history, epoch, step, variables, self.seconds)

    def _phase(self, step: int, progress: TrainingProgress) -> Phase | None:
        """The phase of a step; None after the last one."""
        stopped = find_stop_epoch(progress.history, self.recipe)
        plan = phases.phases(self.recipe, self.per_epoch, stopped)
        return next((phase for phase in plan if phase.stop > step), None)

    def _compile(self, state: TrainState, phase: Phase) -> Callable[..., Any]:
        """The program of a phase: (state, images and labels, ...) -> state and means."""
        began = time.perf_counter()
        self.context.note('compile', task=self.job.name, size=phase.size)
        config = phases.step_config(self.module, self.settings, self.recipe, phase, self.per_epoch)
        feed = self.job.feed
        count = feed.batch_size // jax.process_count()
        rows = np.asarray(feed.images[np.zeros(count, int)]), np.zeros(count, np.int32)
        rows = sharding.shard_batch(rows, self.context.mesh)
        full = self.recipe.precision == 'float32'
        with jax.default_matmul_precision('highest' if full else 'default'):
            jitted = _training_program(config, self.context.mesh)
            program = jitted.lower(state, rows, *self._arguments(phase)).compile()
        self.seconds['compile'] += time.perf_counter() - began
        return program

    def _arguments(self, phase: Phase) -> tuple[StepSettings, jax.Array, Timeline, jax.Array]:
        """Arguments that are the same in every step of a phase."""
        timeline = phases.timeline(self.recipe, phase, self.per_epoch)
        timeline = Timeline(np.int32(timeline.steps), np.int32(timeline.start))
        key, shares = keys.seed_key(self.job.feed.seed), jnp.asarray(self.job.class_shares)
        everywhere = sharding.replicate_on_processes((key, timeline, shares), self.context.mesh)
        return self.settings, *everywhere

    def _run_phase(
        self,
        state: TrainState,
        progress: TrainingProgress,
        phase: Phase,
        program: Callable[..., Any],
        source: Iterator[Any],
    ) -> TrainState:
        arguments = self._arguments(phase)
        pending: deque[tuple[int, Any]] = deque()
        saved = self.began = time.perf_counter()
        for step in range(int(state.step), phase.stop):
            waiting = time.perf_counter()
            rows = sharding.shard_batch(next(source), self.context.mesh)
            self.seconds['wait'] += time.perf_counter() - waiting
            state, means = program(state, rows, *arguments)
            pending.append((step, means))
            self._read_metrics(pending, progress, IN_FLIGHT)
            ends = (step + 1) % self.per_epoch == 0
            signal, due = self._stop_or_save(step, ends, time.perf_counter() - saved)
            if ends or due or signal:
                self._read_metrics(pending, progress, 0)
                self.seconds['train'] += time.perf_counter() - self.began
                self.began = time.perf_counter()
                self._evaluate_and_save(state, progress, step + 1, ends)
                saved = self.began = time.perf_counter()
            if signal:
                self.keeper.close()
                raise Interrupted(signal)
            if ends and self._phase(step + 1, progress) != phase:
                break
        return state

    def _stop_or_save(self, step: int, ends: bool, since: float) -> tuple[int, bool]:
        """The signal that came to any process, and whether a checkpoint is due in any of them.

        Several processes exchange this every few steps only, since the exchange makes them wait.
        """
        local = self.context.interrupted() or 0, since >= self.context.checkpoint_seconds
        if not distributed.has_several():
            return local
        if step % EXCHANGE_STEPS and not ends:
            return 0, False
        signal, due = distributed.compute_maximum(np.asarray(local, np.int32))
        return int(signal), bool(due)

    def _evaluate_and_save(
        self, state: TrainState, progress: TrainingProgress, step: int, ends: bool
    ) -> None:
        """At the end of an epoch the metric is measured first: the checkpoint is chosen by it."""
        metric = self._evaluate(state, progress, step) if ends else None
        progress.seconds[:] = [self.seconds[name] for name in SECONDS]
        copies = {name: value.copy() for name, value in vars(progress).items()}
        self.keeper.save(
            step, dict(state=_copy(state), progress=copies), as_json(self.context.card), metric
        )

    def _evaluate(self, state: TrainState, progress: TrainingProgress, step: int) -> float | None:
        epoch = step // self.per_epoch
        row = dict.fromkeys(HISTORY, np.nan)
        row['train_loss'], row['train_accuracy'] = progress.sums[:2] / progress.sums[2]
        metric, rates = None, self._rates()
        if self.job.evaluate is not None and self.job.labels is not None:
            began = time.perf_counter()
            logits = self.job.evaluate(train_step.select_variables(state, self.recipe.ema))
            scores = classification.scores(logits, self.job.labels)
            self.seconds['evaluate'] += time.perf_counter() - began
            row |= {f'val_{name}': scores[name] for name in VAL}
            metric = select_metric(scores, self.recipe)
        progress.history[epoch - 1] = [row[name] for name in HISTORY]
        progress.sums[:] = 0
        facts = {k: round(float(v), 5) for k, v in row.items() if np.isfinite(v)}
        self.context.note(
            'epoch', task=self.job.name, epoch=epoch, epochs=self.epochs, **facts, **rates
        )
        return metric

    def _rates(self) -> dict[str, float]:
        seconds = max(self.seconds['train'] + time.perf_counter() - self.began, 1e-9)
        return dict(
            images_per_second=round(self.seconds['images'] / seconds, 2),
            input_wait=round(self.seconds['wait'] / seconds, 4),
        )

    def _read_metrics(
        self, pending: deque[tuple[int, Any]], progress: TrainingProgress, leave: int
    ) -> None:
        """Add up the metrics of all but the last `leave` steps.

        Raises:
          NotFinite: the loss or the gradient of a step is not finite.
        """
        while len(pending) > leave:
            step, means = pending.popleft()
            loss, accuracy = float(means['loss']), float(means['accuracy'])
            norm = float(means['gradient_norm'])
            if not np.isfinite(loss) or not np.isfinite(norm):
                last = max(self.keeper.manager.all_steps(), default=None)
                raise NotFinite(step, last, progress.history)
            progress.sums += loss, accuracy, 1
            self.seconds['images'] += self.job.feed.batch_size
            self.context.note(
                'step',
                task=self.job.name,
                step=step + 1,
                steps=self.steps,
                loss=round(loss, 4),
                gradient_norm=round(norm, 3),
                **self._rates(),
            )


@functools.lru_cache(PROGRAMS)
def _training_program(config: StepConfig, mesh: Mesh) -> Any:
    """The jitted step: (state, images and labels, ...) -> state and means.

    Trainings of one network, such as those of several seeds, share the function, so that JAX
    compiles it once.
    """
    preprocessing = config.module.preprocessing

    def step(
        state: TrainState,
        rows: tuple[jax.Array, jax.Array],
        settings: StepSettings,
        key: jax.Array,
        timeline: Timeline,
        shares: jax.Array,
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        images, labels = rows
        mean, std = jnp.asarray(preprocessing.mean), jnp.asarray(preprocessing.std)
        batch = Batch(images, labels, jnp.ones(len(labels), bool), mean, std, shares)
        state, metrics = train_step.train_step(state, batch, settings, key, timeline, config)
        return state, metrics.sums.means() | dict(gradient_norm=metrics.gradient_norm)

    replicated = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    return jax.jit(step, donate_argnums=0, out_shardings=replicated)


@jax.jit
def _copy(tree: Any) -> Any:
    """One call: a call per leaf takes as long as a step."""
    return jax.tree.map(jnp.copy, tree)


def _write_trained(folder: pathlib.Path, network: TrainedNetwork, card: ModelCard) -> None:
    facts = {name: getattr(network, name) for name in FACTS}
    tree = dict(history=network.history, variables=network.variables)
    checkpoint.write_model(folder, tree, as_json(card) | facts)


def _read_trained(folder: pathlib.Path) -> TrainedNetwork | None:
    """A network of an earlier session; one that cannot be read is trained again."""
    if not folder.is_dir():
        return None
    try:
        tree, metadata = checkpoint.read_model(folder)
    except InputError as error:
        warn(f'{error}: it is trained again')
        return None
    return TrainedNetwork(
        variables=jax.tree.map(np.asarray, tree['variables']),
        history=np.asarray(tree['history']),
        **{name: metadata[name] for name in FACTS},
    )
