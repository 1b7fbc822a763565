"""Report of results that were trained elsewhere: the comparison, without facts of a training."""

import collections
import dataclasses
import pathlib
import shlex
from collections.abc import Sequence

import numpy as np

from jaxdl.report import provenance
from jaxdl.report.ablation import (
    corrected,
    curves,
    decision,
    divergence,
    methods,
    queries,
    reading,
    result,
    uncertainty,
    verdicts,
)
from jaxdl.report.ablation.study import AnalysisRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Code, Items, Page, Paragraph, Section, Table
from jaxdl.statistics import protocol
from jaxdl.workdir import tables
from jaxdl.workdir.correct import read_correct
from jaxdl.workdir.tables import Row

CONFIG = (
    'name',
    'question',
    'factor',
    'baseline',
    'options',
    'conditions',
    'metric',
    'lower_is_better',
    'split',
    'unit',
    'columns',
    'files',
    'rows',
)
NO_IMAGES = (
    'There is no comparison for new images: the table has no results per image. The verdict holds '
    'for new seeds on the same data.'
)
NOT_KNOWN = (
    'The training was done elsewhere. The table does not state the networks, the settings, the '
    'number of training runs that were left out, or the budget of tuning per option.'
)
CHOICES = (
    'Tuning: not known. If options were tuned with different budgets, a difference may come from '
    'tuning.',
    'Choices: not known. If epochs, runs or settings were chosen by the compared values, these '
    'values are better than the values of new data.',
)
ELSEWHERE = f'all values are in {markup.code("results.csv")} of the workdir.'


def read(workdir: pathlib.Path) -> AnalysisRun:
    """Read the workdir of an analysis, and compute its summary from results.csv.

    Args:
      workdir: workdir of a finished analysis.

    Returns:
      The study.

    Raises:
      InputError: there is no analysis, or a file is damaged or truncated.
    """
    config = reading.record(workdir / 'config.json', CONFIG)
    run = reading.read_finished(workdir)
    table = reading.read_results(workdir, run)
    study = AnalysisRun(
        name=workdir.resolve().name,
        config=config,
        run=run,
        table=table,
        summary=[],
        series=reading.by_series(table),
    )
    path = workdir / 'correct.npz'
    correct = read_correct(path) if path.exists() else None
    summary = []
    for condition in study.conditions:
        by_image = correct and protocol.correctness(table, correct, condition, num_classes=1)
        rows = protocol.summarize(
            table,
            study.baseline,
            condition,
            by_image=by_image,
            metric=study.metric,
            unpaired=protocol.WELCH,
            split=study.split,
        )
        rows = [dict.fromkeys(tables.SUMMARY) | row for row in rows]
        rows = corrected.extend(rows, table, by_image, 0.0, study.metric, split=study.split)
        summary += [row | dict(scale=study.scale) for row in rows]
    return dataclasses.replace(study, summary=summary)


def page(study: AnalysisRun) -> Page:
    """The whole report of an analysis; sections without content are left out.

    With several conditions each section is repeated for each condition.
    """
    sections, appendix = [], []
    for condition in study.conditions:
        of, end = study.of(condition), study.suffix(condition)
        compared = result.comparison(study, condition, _warnings(study, condition), NO_IMAGES)
        sections.append(Section(f'Result{of}', compared))
        sections.append(Section(f'Learning curves{of}', _curves(study, condition, end)))
        sources = uncertainty.blocks(study, condition, fixed='')
        appendix.append(Section(f'Uncertainty{of}', sources))
    sections += [Section('Decision', _decision(study)), Section('Methods', _methods(study))]
    appendix += [
        Section('Limits', [Items(_limits(study))]),
        Section('All runs', [_runs(study)]),
        Section('Provenance', _provenance(study)),
    ]
    return Page(
        markup.flat(study.config['question']),
        _head(study),
        [section for section in sections if section.blocks],
        appendix,
    )


def _head(study: AnalysisRun) -> list[Block]:
    """The answer to each condition in words and as a plot, and the size of the study."""
    head: list[Block] = []
    for condition in study.conditions:
        name = f'{words.condition(condition)}: ' if study.repeated else ''
        answer = verdicts.short(queries.compared(study, condition))
        figure = f'differences{study.suffix(condition)}'
        head += [
            Paragraph(f'{name}{answer}', 'lead'),
            *result.forest_plot(study, condition, figure),
        ]
    lower = ' (lower is better)' if study.metric.lower_is_better else ''
    seeds = words.counts([row['seeds'] for row in study.summary], 'seed')
    facts = (
        f'compared by {study.scale.compared}{lower}',
        f'{seeds} per option',
        words.count(len(study.options), 'option'),
        'trained elsewhere',
    )
    return [*head, Paragraph(' · '.join(facts), 'note')]


def _warnings(study: AnalysisRun, condition: str) -> list[str]:
    """Sentences on unpaired options that share seeds, on equal differences, on last epochs."""
    texts = []
    baseline = queries.by_seed(study, condition, study.baseline)
    for row in queries.options_compared(study, condition):
        seeds = queries.by_seed(study, condition, row['option'])
        shared = len(set(seeds) & set(baseline))
        if not row['paired'] and shared:
            texts.append(
                f'{markup.name(row["option"])} shares {shared} of its '
                f'{words.count(len(seeds), "seed")} with {markup.name(study.baseline)}. All seeds '
                'are compared as unpaired.'
            )
    texts += divergence.same_difference(study, condition)
    last = sorted({epoch for epoch in _last_epochs(study, condition) if epoch is not None})
    if len(last) > 1:
        texts.append(
            f'The last epochs of the runs differ, {last[0]:,} to {last[-1]:,}. The last value of '
            'each run is compared.'
        )
    return texts


def _last_epochs(study: AnalysisRun, condition: str) -> list[int | None]:
    last = {
        (r['option'], r['seed']): r['epoch'] for r in study.table if r['condition'] == condition
    }
    return list(last.values())


def _curves(study: AnalysisRun, condition: str, end: str) -> list[Block]:
    """Validation curves, if the table has the same consecutive epochs of all runs."""
    rows = [row for row in study.table if row['condition'] == condition]
    epochs = collections.defaultdict(list)
    for row in rows:
        epochs[row['option'], row['seed']].append(row['epoch'])
    first = next(iter(epochs.values()))
    consecutive = None not in first and first == list(range(first[0], first[0] + len(first)))
    alike = consecutive and all(each == first for each in epochs.values())
    if study.split != 'val' or len(first) < 2 or not alike:
        return []
    options = [row['option'] for row in queries.compared(study, condition)]
    values = {
        option: (np.array([]), queries.curves(study, condition, option, 'val'))
        for option in options
    }
    quantity = words.capital(f'{study.scale.split} {study.scale.drawn_name}')
    seeds = [len(curve) for _, curve in values.values()]
    caption = (
        f'{quantity} against epoch, counted from 1. Lines: mean over '
        f'{words.samples(seeds, "seed")}. Bands: 95{words.SPACE}% intervals. One colour per option '
        'in all figures.'
    )
    none = collections.Counter[str]()
    name = f'learning{end}'
    return [curves.figure(name, values, study.baseline, none, None, study.scale, caption)]


def _decision(study: AnalysisRun) -> list[Block]:
    blocks: list[Block] = []
    for condition in study.conditions:
        compared = queries.options_compared(study, condition)
        if study.repeated and compared:
            blocks.append(Paragraph(words.condition(condition)))
        blocks += [Items(decision.decide(compared))] if compared else []
    scope = (
        'The decision holds for the data, networks and training of the table. No interval covers '
        'other data sets, networks or training lengths.'
    )
    return [*blocks, Paragraph(scope, 'note')]


def _methods(study: AnalysisRun) -> list[Block]:
    """A paragraph for a paper, and the columns of the table."""
    text = ' '.join(
        [
            methods.design(study),
            NOT_KNOWN,
            _source(study),
            _seeds(study),
            *methods.tests(study),
            _software(study),
        ]
    )
    return [*methods.cite(text), _columns(study)]


def _source(study: AnalysisRun) -> str:
    """The table and the compared values."""
    config, unit = study.config, study.scale
    files = [file['name'] for file in config['files']]
    rows = words.count(config['rows'], 'row')
    table = f'a table of {rows}'
    if files:
        name = markup.flat(files[0]) if len(files) == 1 else words.count(len(files), 'file')
        table = f'{rows} of {name}'
    split = f' on the {unit.split} split' if unit.split else ', whose split the table does not name'
    epochs = [
        epoch for c in study.conditions for epoch in _last_epochs(study, c) if epoch is not None
    ]
    last = f' at the last epoch of each run ({_span(epochs)})' if epochs else ''
    percent = ' Values in per cent were divided by 100.' if config['unit'] == 'percent' else ''
    direction = 'Lower' if study.metric.lower_is_better else 'Higher'
    return (
        f'We read {table}. The compared values are the {unit.name}{split}{last}. '
        f'{direction} values are better.{percent}'
    )


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f'{low:,}' if low == high else f'{low:,} to {high:,}'


def _seeds(study: AnalysisRun) -> str:
    compared = [row for row in study.summary if row['option'] != row['baseline']]
    unpaired = [row for row in compared if not row['paired']]
    numbers = words.counts([row['seeds'] for row in study.summary], 'seed')
    text = f'Each option has {numbers}.'
    if not unpaired:
        return f'{text} All options have the seeds of the baseline, so differences are paired.'
    if len(unpaired) == len(compared):
        return f'{text} The seeds of the baseline are not the same: differences are unpaired.'
    names = words.listing(dict.fromkeys(markup.flat(row['option']) for row in unpaired))
    return (
        f'{text} The seeds of {names} are not those of the baseline, so these differences are '
        'unpaired; the others are paired.'
    )


def _software(study: AnalysisRun) -> str:
    versions = study.run.versions
    named = [f'{name} {versions[name]}' for name in ('jaxdl', 'numpy', 'scipy') if name in versions]
    return f'Software of the comparison: {", ".join(named)} and Python {versions["python"]}.'


def _columns(study: AnalysisRun) -> Table:
    """Role of each column of the table."""
    rows = [
        [role.replace('_', ' '), 'path of the file' if title == 'path' else markup.code(title)]
        for role, title in study.config['columns'].items()
    ]
    return Table('Columns of the table', ('Role', 'Column'), rows, 'll')


def _limits(study: AnalysisRun) -> list[str]:
    images = any(row.get('verdict_images') for row in study.summary)
    covered = ' Intervals over seeds and images cover other test images as well.' if images else ''
    comparisons = words.count(len(study.options) - 1, 'comparison')
    under = ' under each condition' if study.repeated else ''
    validation = 'The values are of the validation split, which is usually used for choices.'
    return [
        'The intervals cover other seeds. Which sources of variance change with the seed is not '
        f'known.{covered} The intervals do not cover other data sets, splits, networks or training '
        'lengths.',
        *CHOICES,
        *([validation] if study.config['split'] == 'val' else []),
        f'{comparisons} with the baseline{under}. Holm limits the probability of any false alarm '
        f'among them to 5{words.SPACE}%. Options are not compared with each other.',
    ]


def _runs(study: AnalysisRun) -> Table:
    """One row per run with its last value."""
    last = {(r['condition'], r['option'], r['seed']): r for r in study.table}
    rates = any(row['learning_rate'] is not None for row in last.values())
    epochs = any(row['epoch'] is not None for row in last.values())
    rows = [_run(study, row, rates, epochs) for row in last.values()]
    columns = (
        *(('Condition',) if study.repeated else ()),
        'Option',
        *(('Learning rate',) if rates else ()),
        'Seed',
        *(('Last epoch',) if epochs else ()),
        study.scale.head(),
    )
    align = ('ll' if study.repeated else 'l') + 'r' * (len(columns) - 1 - study.repeated)
    caption = f'All runs with their {study.scale.compared}, {words.count(len(rows), "run")}'
    return Table(caption, columns, rows, align, elsewhere=ELSEWHERE)


def _run(study: AnalysisRun, row: Row, rates: bool, epochs: bool) -> list[str]:
    rate, epoch = row['learning_rate'], row['epoch']
    return [
        *([markup.plain(words.condition(row['condition']))] if study.repeated else []),
        markup.flat(row['option']),
        *([words.DASH if rate is None else f'{rate:g}'] if rates else []),
        str(row['seed']),
        *([words.DASH if epoch is None else str(epoch)] if epochs else []),
        study.scale.number(row['value']),
    ]


def _provenance(study: AnalysisRun) -> list[Block]:
    facts = provenance.facts(study.config['name'], study.run) | {
        'Measurements': words.count(study.run.results_rows or 0, 'row'),
        'Pattern of paths': study.config.get('path_pattern', ''),
    }
    rows = [[name, markup.flat(words.local(value))] for name, value in facts.items() if value]
    files = [
        [markup.flat(file['name']), f'{file["rows"]:,}', file['sha256'][:16]]
        for file in study.config['files']
    ]
    columns = ('File', 'Rows', 'SHA-256, first 16 digits')
    return [
        *provenance.command(study.run.command),
        Table('Analysis', ('Item', 'Value'), rows, 'lw'),
        *([Table('Files of the table', columns, files, 'lrl')] if files else []),
        Paragraph(
            f'The compared values are in {markup.code("results.csv")} of the workdir, the '
            f'comparison is in {markup.code("summary.csv")}. This command rebuilds the report:'
        ),
        Code(f'python -m jaxdl.main --mode=report --workdir={shlex.quote(study.name)}'),
    ]
