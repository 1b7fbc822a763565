"""Run the options of an ablation of a fine-tuning: one training per option and seed.

A finished run is a file, and an unfinished one has the checkpoints of its training. The runs of a
seed share the order of the images, crops, noise, and the probe that their heads begin with.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.ablation import chunk_files
from jaxdl.ablation.chunk_runner import Session
from jaxdl.ablation.finetune_plan import FineTuneCondition, count_trained
from jaxdl.ablation.planning import Group
from jaxdl.config.experiment import FineTune
from jaxdl.ensemble import Member, Result, scoring
from jaxdl.finetune import artifacts, loop, networks, plan, probe, setup
from jaxdl.finetune.loop import NotFinite, RunContext
from jaxdl.finetune.probe import ProbeResult
from jaxdl.finetune.records import FinalNetworks, FineTuneRun
from jaxdl.finetune.setup import Backbone
from jaxdl.runtime import checkpoint, distributed, sharding
from jaxdl.runtime.signals import Interrupted
from jaxdl.statistics import jackknife
from jaxdl.statistics.metrics import BUILT_IN, METRICS
from jaxdl.workdir.records import GroupRecord
from jaxdl.workdir.tables import Row

SECONDS = ('compile', 'train', 'evaluate')
SIDES = ('train', 'val')


def run_options(
    session: Session, condition: FineTuneCondition, number: int, blocks: np.ndarray | None
) -> Iterator[tuple[Group, list[Result], GroupRecord]]:
    """Train all options, each with every seed.

    Args:
      session: the process.
      condition: images, splits and networks.
      number: of the condition; begins the names of its files in checkpoints/.
      blocks: block of each test image, as of `chunk_runner.run_groups`.

    Yields:
      The runs of an option, their results in order, and their entry in run.json.

    Raises:
      Interrupted: a signal came; the same call resumes.
    """
    runs = _Runs(session, condition, number, blocks)
    for group in condition.groups:
        members = [runs.run(member) for member in group.members]
        results = [result for _, result in members]
        measured = Group(tuple(member for member, _ in members), group.plan)
        yield measured, results, _group_record(measured, results)


def cost_rows(condition: FineTuneCondition, tested: Sequence[tuple[Member, Result]]) -> list[Row]:
    """Rows of costs.csv: parameters that learn, FLOPs of the forward pass, seconds per run.

    The seconds are those of the training, and of the probe that the option uses.

    Args:
      condition: networks and settings of the options.
      tested: all runs and their results.
    """
    rows = []
    for option in condition.experiments:
        seconds = [
            float(result['train_seconds'] + result['probe_seconds'])
            for member, result in tested
            if member.option == option
        ]
        experiment, network = condition.experiments[option], condition.networks[option]
        size = setup.evaluation_size(experiment, network)
        classes = len(condition.dataset.class_names)
        rows.append(
            dict(
                condition=condition.name,
                option=option,
                parameters=count_trained(experiment, network, classes),
                flops=_forward_flops(network, classes, size),
                seconds_per_member=round(float(np.mean(seconds)), 4),
            )
        )
    return rows


def _forward_flops(network: Backbone, classes: int, size: int) -> float:
    """FLOPs of the forward pass of one image, as XLA counts them."""
    module, variables = setup.add_head(network, setup.zero_head(network, classes))
    module = module.clone(lowering='grouped')  # XLA does not count those of a custom call
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), variables)
    image = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    cost: Any = jax.jit(module.apply).lower(shapes, image).cost_analysis()
    return float(cost['flops'])


def _group_record(group: Group, results: Sequence[Result]) -> GroupRecord:
    seconds = {
        name: round(sum(float(result[f'{name}_seconds']) for result in results), 3)
        for name in SECONDS
    }
    return GroupRecord(
        condition=group.plan.condition,
        phase=group.plan.phase,
        options=group.plan.options,
        members=len(results),
        traces=int(results[0]['programs']),
        steps=group.plan.steps,
        batch_size=group.plan.batch_size,
        compile_seconds=seconds['compile'],
        train_seconds=seconds['train'],
        evaluate_seconds=seconds['evaluate'],
        conv=group.plan.conv,
    )


@dataclasses.dataclass
class _Runs:
    """The runs of a condition, and what they share: features and probes."""

    session: Session
    condition: FineTuneCondition
    number: int
    blocks: np.ndarray | None
    features: dict[Any, np.ndarray] = dataclasses.field(default_factory=dict)

    def run(self, member: Member) -> tuple[Member, Result]:
        """A run with its learning rate, and its result: of an earlier session, or trained now."""
        place = list(self.condition.experiments).index(member.option)
        file = self._path(f'{place}-{member.seed}.npz')
        result = chunk_files.read(file)
        # If a process has no file, all processes train.
        missing = bool(distributed.compute_maximum(np.int32(result is None)))
        if result is None or missing:
            result = self._train(member, file.with_suffix(''))
            if distributed.is_first():
                chunk_files.write(file, result)
                checkpoint.drop(file.with_suffix(''))
            if signal := distributed.make_maximum(self.session.interrupted)():
                raise Interrupted(signal)
        rate = float(result['learning_rate'])
        variant = dataclasses.replace(member.variant, learning_rate=rate)
        return dataclasses.replace(member, variant=variant), result

    def _train(self, member: Member, folder: pathlib.Path) -> Result:
        """Fit the probe of a run, train its network, and predict the test images."""
        condition, option = self.condition, member.option
        experiment, network = condition.experiments[option], condition.networks[option]
        splits = condition.splits[member.split]
        card = setup.model_card(experiment, condition.dataset, splits, network)
        context = RunContext(
            workdir=folder,
            note=self._note(member),
            interrupted=self.session.interrupted,
            checkpoint_seconds=self.session.checkpoint_seconds,
            card=card,
            mesh=sharding.data_mesh(),
        )
        features = self._extract(experiment, network)
        data = condition.dataset, splits, features
        run = FineTuneRun(experiment, context, network, *data, card, member.seed)
        fitted = self._fit_probe(run, option)
        if 'finetune' not in experiment.stages:
            on_all_images = bool(experiment.finetune.refit_epochs)
            final = networks.probe_network(run, fitted, on_all_images=on_all_images)
            return self._of_probe(run, fitted) | self._measure(run, final)
        try:
            trained = networks.train_networks(run, fitted)
            final = networks.combine_networks(run, fitted, trained)
        except NotFinite as failure:
            context.note('diverged', task='finetune', step=failure.step)
            return self._of_failure(run, failure)
        histories = [network.history for network, *_ in trained]
        seconds = [network.seconds for network, *_ in trained]
        facts = _facts(run, seconds)
        if experiment.finetune.start == 'probe':
            facts['probe_seconds'] = _probe_seconds(fitted)['train_seconds']
        return facts | _curves(histories) | self._measure(run, final)

    def _of_probe(self, run: FineTuneRun, fitted: ProbeResult) -> Result:
        """Facts and scores of a probe, which count as one epoch."""
        scores = dict(train=fitted.train_scores, val=fitted.scores)
        names = dict(train=loop.TRAIN, val=loop.VAL)
        curves = {
            f'{side}_{name}': np.asarray([scores[side][name]])
            for side in SIDES
            for name in names[side]
        }
        facts = _facts(run, []) | _probe_seconds(fitted)
        programs = np.asarray(sum(group.traces for group in fitted.groups))
        rate = np.asarray(fitted.learning_rate)
        return facts | curves | dict(learning_rate=rate, programs=programs)

    def _of_failure(self, run: FineTuneRun, failure: NotFinite) -> Result:
        """Result of a run that diverged: chance from the epoch of its failure on."""
        per_epoch = loop.steps_per_epoch(networks.make_feed(run, run.splits.train, run.seed))
        history = failure.history.copy()
        history[failure.step // per_epoch :] = np.nan
        columns = {name: history[:, i] for i, name in enumerate(loop.HISTORY)}
        nothing = np.asarray(np.nan)
        result = _facts(run, []) | columns | dict(test_loss=nothing, test_accuracy=nothing)
        names = self._metrics()
        result |= {f'metric.{split}.{name}': nothing for split in ('val', 'test') for name in names}
        count = len(run.splits.test)
        result |= {f'test_{self.condition.study.metric}': nothing, 'correct': np.zeros(count, bool)}
        if self.blocks is not None:
            result['contributions'] = np.full(count, np.nan)
        return result

    def _measure(self, run: FineTuneRun, final: FinalNetworks) -> Result:
        """All metrics of the final networks on validation and test, and the correct images."""
        assert final.validation is not None
        labels, deciding = run.dataset.labels, self.condition.study.metric
        predictions = dict(val=final.validation, test=(final.logits, final.indices))
        result = {
            f'metric.{split}.{name}': np.asarray(
                scoring.compute(METRICS[name], logits, labels[indices])
            )
            for split, (logits, indices) in predictions.items()
            for name in self._metrics()
        }
        tested = labels[final.indices]
        result |= dict(
            test_loss=result['metric.test.log_loss'],
            test_accuracy=result['metric.test.accuracy'],
            correct=final.logits.argmax(1) == tested,
        )
        result[f'test_{deciding}'] = result[f'metric.test.{deciding}']
        if self.blocks is not None:
            metric = METRICS[deciding]
            result['contributions'] = jackknife.contributions(
                metric, final.logits, tested, self.blocks
            )
        return result

    def _metrics(self) -> list[str]:
        study = self.condition.study
        return list(dict.fromkeys((*BUILT_IN, *study.metrics, study.metric)))

    def _extract(self, experiment: FineTune, network: Backbone) -> np.ndarray:
        """Features of all images, once per network and form of the images."""
        key = id(network), setup.probe_size(experiment, network), experiment.probe.flips
        if key not in self.features:
            features = setup.extract_features(experiment, self.condition.dataset, network)
            self.features[key] = features
        return self.features[key]

    def _fit_probe(self, run: FineTuneRun, option: str) -> ProbeResult:
        """The probe of a seed, which all options with its settings share."""
        experiment, keys = run.experiment, self._probe_keys()
        place = list(keys.values()).index(keys[option])
        folder = self._path(f'probe{place}-{run.seed}')
        if fitted := artifacts.read_probe(folder):
            return fitted
        fitted = probe.run(
            experiment,
            run.dataset,
            run.splits,
            run.features,
            seed=run.seed,
            note=self.session.note,
            interrupted=distributed.make_maximum(self.session.interrupted),
        )
        fitted = distributed.broadcast_record(fitted)
        artifacts.write_probe(folder, fitted)
        return fitted

    def _probe_keys(self) -> dict[str, Any]:
        """Option -> all settings of its probe."""
        return {
            option: (id(self.condition.networks[option]), each.probe, each.finetune.metric)
            for option, each in self.condition.experiments.items()
        }

    def _path(self, name: str) -> pathlib.Path:
        return self.session.folder / 'checkpoints' / f'{self.number}-{name}'

    def _note(self, member: Member) -> Callable[..., None]:
        """The journal, with the option and the seed in place of the name of a single training."""
        label = f'{self.condition.name} {member.option}, seed {member.seed}'.strip()

        def note(name: str, **facts: Any) -> None:
            if 'task' in facts:
                facts['task'] = label + facts['task'].removeprefix('finetune')
            self.session.note(name, **facts)

        return note


def _facts(run: FineTuneRun, seconds: Sequence[dict[str, float]]) -> Result:
    """Learning rate, programs and seconds of the networks of a run."""
    totals = {
        f'{name}_seconds': np.asarray(sum(of_network[name] for of_network in seconds))
        for name in SECONDS
    }
    return totals | dict(
        learning_rate=np.asarray(run.experiment.variant.learning_rate),
        programs=np.asarray(len(plan.training_phases(run.experiment, 1))),
        probe_seconds=np.asarray(0.0),
    )


def _probe_seconds(fitted: ProbeResult) -> Result:
    """Seconds of the heads of a probe."""
    return {
        f'{name}_seconds': np.asarray(
            sum(getattr(group, f'{name}_seconds') for group in fitted.groups)
        )
        for name in SECONDS
    }


def _curves(histories: Sequence[np.ndarray]) -> Result:
    """Loss and metrics per epoch that was trained, the mean over the networks of a run."""
    trained = np.any([np.isfinite(history[:, 0]) for history in histories], 0)
    values = np.stack(histories)[:, trained]
    return {name: np.nanmean(values[..., i], 0) for i, name in enumerate(loop.HISTORY)}
