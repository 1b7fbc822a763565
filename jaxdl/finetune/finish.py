"""The end of a fine-tuning: calibration, the last checkpoint, predictions, tables.

And what the report shows.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxdl import workdir
from jaxdl.finetune import artifacts, loop
from jaxdl.finetune.loop import TrainedNetwork
from jaxdl.finetune.probe import ProbeResult
from jaxdl.finetune.records import Final, Work
from jaxdl.inference import model_file
from jaxdl.runtime import distributed
from jaxdl.statistics import classification
from jaxdl.workdir import journal, tables
from jaxdl.workdir.tables import Row


def close(
    work: Work,
    final: Final,
    found: ProbeResult,
    fitted: Sequence[tuple[TrainedNetwork, np.ndarray]],
    unlabelled: artifacts.Unlabelled | None,
    facts: Mapping[str, Any],
) -> None:
    """Calibration, the last checkpoint, predictions, tables, what the report shows."""
    labels = work.dataset.labels[final.indices]
    temperature = (
        final.said['temperature']
        if final.part == 'test'
        else classification.fit_temperature(final.logits, labels)
    )
    judged = dict(
        artifacts.judged(final.logits, labels, temperature), split=final.part, images=len(labels)
    )
    judged |= dict(epoch=fitted[0][0].epoch) if fitted else {}
    said = final.said | dict(temperature=temperature, scores=judged)
    model_file.save(work.session.workdir, final.members, said)
    submitted = artifacts.predictions(work, final.members, said, unlabelled)
    if not distributed.first():
        return
    rows = _rows(work, found, fitted, final, judged)
    tables.write_table(work.session.workdir / 'results.csv', tables.RESULTS, rows)
    artifacts.write(work, final, said)
    of_probe = artifacts.of_probe(found, work)
    seconds, rates = _seconds(fitted, found), _rates(fitted)
    work.session.note('trained')
    sessions = journal.sessions(work.session.workdir)
    run = dict(
        facts,
        seconds=seconds | dict(total=round(sum(sessions), 3)),
        groups=found.entries,
        resumed=len(sessions) - 1,
        results_rows=len(rows),
        scores=dict(probe=of_probe) | (dict(finetune=judged) if fitted else {}),
        **rates,
        **submitted,
        finished=True,
    )
    workdir.seal(work.session.workdir)
    workdir.begin(work.session.workdir, run=run)


def _rows(
    work: Work,
    found: ProbeResult,
    fitted: Sequence[tuple[TrainedNetwork, np.ndarray]],
    final: Final,
    judged: Mapping[str, Any],
) -> list[Row]:
    """results.csv: the probe's last pass, every epoch of every run.

    And the labelled test part where there is one.
    """
    passes, rows = work.experiment.probe.passes, []

    def add(
        phase: str,
        option: str,
        rate: float,
        seed: int,
        epoch: int,
        split: str,
        measured: Mapping[str, float],
    ) -> None:
        head = dict(
            condition='',
            phase=phase,
            option=option,
            learning_rate=rate,
            seed=seed,
            epoch=epoch,
            split=split,
        )
        rows.extend(
            head | dict(metric=k, value=float(v)) for k, v in measured.items() if np.isfinite(v)
        )

    train = {name: found.train_scores[name] for name in loop.TRAIN}
    add('probe', 'probe', found.learning_rate, 0, passes, 'train', train)
    add(
        'probe',
        'probe',
        found.learning_rate,
        0,
        passes,
        'val',
        {name: found.scores[name] for name in loop.VAL},
    )
    rate = work.experiment.variant.learning_rate
    for number, (own, _) in enumerate(fitted):
        seed = number % work.experiment.finetune.seeds
        for epoch, values in enumerate(own.history, 1):
            row = dict(zip(loop.HISTORY, values, strict=True))
            for split, names in (('train', loop.TRAIN), ('val', loop.VAL)):
                add(
                    'finetune',
                    own.name,
                    rate,
                    seed,
                    epoch,
                    split,
                    {n: row[f'{split}_{n}'] for n in names},
                )
    if final.part == 'test':
        last = fitted[0][0].epoch if fitted else passes
        named = (
            ('finetune', 'finetune', rate) if fitted else ('probe', 'probe', found.learning_rate)
        )
        add(*named, 0, last, 'test', {name: judged[name] for name in loop.VAL})
    return rows


def _seconds(
    fitted: Sequence[tuple[TrainedNetwork, np.ndarray]], found: ProbeResult
) -> dict[str, float]:
    kinds = ('compile', 'train', 'evaluate')
    heads = {kind: sum(entry[f'{kind}_seconds'] for entry in found.entries) for kind in kinds}
    return {
        kind: round(heads[kind] + sum(own.seconds[kind] for own, _ in fitted), 3) for kind in kinds
    }


def _rates(fitted: Sequence[tuple[TrainedNetwork, np.ndarray]]) -> dict[str, float]:
    train = sum(own.seconds['train'] for own, _ in fitted)
    if not train:
        return {}
    images, wait = (sum(own.seconds[kind] for own, _ in fitted) for kind in ('images', 'wait'))
    return dict(images_per_second=round(images / train, 2), input_wait=round(wait / train, 4))
