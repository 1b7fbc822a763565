"""Final steps of a fine-tuning: calibration, the final checkpoint, predictions and tables."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl import statistics, workdir
from jaxdl.data.splits import image_groups
from jaxdl.finetune import artifacts, loop
from jaxdl.finetune.artifacts import Unlabelled
from jaxdl.finetune.networks import Validated
from jaxdl.finetune.probe import ProbeResult
from jaxdl.finetune.records import FinalNetworks, FineTuneRun
from jaxdl.inference import model_file, tta
from jaxdl.runtime import distributed
from jaxdl.statistics import classification, rejection
from jaxdl.workdir import journal, records, tables
from jaxdl.workdir.records import RunRecord
from jaxdl.workdir.tables import Row


def finish(
    run: FineTuneRun,
    final: FinalNetworks,
    probe_result: ProbeResult,
    trained: Sequence[Validated],
    unlabelled: Unlabelled | None,
    started: RunRecord,
) -> None:
    """Write the final checkpoint, predictions, tables, artifacts and, last, run.json.

    Args:
      run: what the stages share.
      final: the networks to save.
      probe_result: the fitted probe.
      trained: one network per fold and seed; empty for a probe alone.
      unlabelled: images to predict, where there are such.
      started: run.json of the unfinished run.
    """
    labels = run.dataset.labels[final.indices]
    temperature = final.card.temperature
    if final.split != 'test':
        temperature = classification.fit_temperature(final.logits, labels)
    scores = artifacts.compute_scores(final.logits, labels, temperature)
    scores |= dict(split=final.split, images=len(labels))
    scores |= dict(epoch=trained[0].network.epoch) if trained else {}
    validation = final.validation[0] if final.validation else final.logits
    confidences = rejection.confidence_quantiles(tta.probabilities(validation, temperature))
    card = dataclasses.replace(
        final.card,
        temperature=temperature,
        scores=scores | _intervals(run, final, labels),
        confidences=confidences,
    )
    model_file.save(run.context.workdir, final.members, card)
    submission = artifacts.write_predictions(run, final.members, card, unlabelled)
    if not distributed.is_first():
        return
    rows = list(_result_rows(run, probe_result, trained, final, scores))
    tables.write_table(run.context.workdir / 'results.csv', tables.RESULTS, rows)
    artifacts.write(run, final, card)
    all_scores = dict(probe=artifacts.probe_scores(run, probe_result))
    if trained:
        all_scores |= artifacts.compared_probe_scores(final, labels) | dict(finetune=scores)
    run.context.note('trained')
    sessions = journal.session_seconds(run.context.workdir)
    record = dataclasses.replace(
        started,
        finished=True,
        seconds=_seconds(trained, probe_result) | dict(total=round(sum(sessions), 3)),
        groups=tuple(probe_result.groups),
        resumed=len(sessions) - 1,
        results_rows=len(rows),
        scores=all_scores,
        submission=submission,
        **_rates(trained),
    )
    workdir.seal(run.context.workdir)
    workdir.write_records(run.context.workdir, run=records.as_json(record))


def _intervals(run: FineTuneRun, final: FinalNetworks, labels: np.ndarray) -> dict[str, Any]:
    """95 % intervals for the model card, and the numbers of groups and of networks."""
    groups = image_groups(run.dataset)
    measured = statistics.score_predictions(
        labels, final.logits.argmax(1), [groups[i] for i in final.indices]
    )
    estimates = dict(accuracy=measured.accuracy, macro_f1=measured.macro_f1)
    intervals = {k: list(v.interval) for k, v in estimates.items() if v.interval is not None}
    return dict(groups=measured.groups, intervals=intervals, networks=len(final.members))


def _result_rows(
    run: FineTuneRun,
    probe_result: ProbeResult,
    trained: Sequence[Validated],
    final: FinalNetworks,
    scores: Mapping[str, Any],
) -> Iterator[Row]:
    """results.csv: the probe's last epoch, every epoch of every training, the test split."""
    passes, rate = run.experiment.probe.passes, run.experiment.variant.learning_rate
    of_probe = dict(phase='probe', option='probe', learning_rate=probe_result.learning_rate, seed=0)
    train = {name: probe_result.train_scores[name] for name in loop.TRAIN}
    val = {name: probe_result.scores[name] for name in loop.VAL}
    yield from _rows(of_probe, passes, 'train', train)
    yield from _rows(of_probe, passes, 'val', val)
    for number, (network, *_) in enumerate(trained):
        seed = number % run.experiment.finetune.seeds
        head = dict(phase='finetune', option=network.name, learning_rate=rate, seed=seed)
        for epoch, values in enumerate(network.history, 1):
            row = dict(zip(loop.HISTORY, values, strict=True))
            for split, names in (('train', loop.TRAIN), ('val', loop.VAL)):
                yield from _rows(head, epoch, split, {n: row[f'{split}_{n}'] for n in names})
    if final.split == 'test':
        tested = {name: scores[name] for name in loop.VAL}
        if trained:
            head = dict(phase='finetune', option='finetune', learning_rate=rate, seed=0)
            yield from _rows(head, trained[0].network.epoch, 'test', tested)
        else:
            yield from _rows(of_probe, passes, 'test', tested)


def _rows(
    head: Mapping[str, Any], epoch: int, split: str, values: Mapping[str, float]
) -> Iterator[Row]:
    """A row per metric that was measured."""
    place = dict(condition='', **head, epoch=epoch, split=split)
    for name, value in values.items():
        if np.isfinite(value):
            yield place | dict(metric=name, value=float(value))


def _seconds(trained: Sequence[Validated], probe_result: ProbeResult) -> dict[str, float]:
    totals = {}
    for kind in ('compile', 'train', 'evaluate'):
        heads = sum(getattr(group, f'{kind}_seconds') for group in probe_result.groups)
        totals[kind] = round(heads + sum(network.seconds[kind] for network, *_ in trained), 3)
    return totals


def _rates(trained: Sequence[Validated]) -> dict[str, float]:
    train, images, wait = (
        sum(network.seconds[kind] for network, *_ in trained)
        for kind in ('train', 'images', 'wait')
    )
    if not train:
        return {}
    return dict(images_per_second=round(images / train, 2), input_wait=round(wait / train, 4))
