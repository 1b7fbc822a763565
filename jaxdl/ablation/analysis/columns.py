"""Settings of an analysis, and recognition of the columns of a table."""

import dataclasses
import functools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from jaxdl import fields
from jaxdl.ablation.analysis.source import Table, is_empty, shorten
from jaxdl.errors import InputError, nearest, unknown
from jaxdl.statistics import metric_names
from jaxdl.statistics.metric_names import HIGHER, LOWER, MetricName
from jaxdl.statistics.metrics import ACCURACY

SPLITS = ('train', 'val', 'test')
SHARE, PERCENT = 'share', 'percent'
FROM_PATH = ('option', 'seed', 'condition')  # named groups of path_pattern


def _pattern(text: str) -> str | None:
    """A regular expression with named groups out of FROM_PATH, or empty."""
    form = f'must be a regular expression with the groups {", ".join(FROM_PATH)}, such as '
    form += r'runs/(?P<option>[^/]+)/seed(?P<seed>\d+)/'
    if not text:
        return None
    try:
        groups = re.compile(text).groupindex
    except (re.error, RecursionError, OverflowError) as error:
        return f'{form} ({error})'
    return None if groups and set(groups) <= set(FROM_PATH) else form


@dataclasses.dataclass(frozen=True)
class AnalysisSettings:
    """Settings of the mode analyze. An empty value is recognised from the table.

    Args:
      metric: name of the metric, as in its column or cell; empty for the accuracy, if there is one.
      direction: whether `higher` or `lower` values of an unknown metric are better.
      unit: unit of the values of a metric between 0 and 1: `share`, or `percent` (0 to 100).
      split: split of the values.
      path_pattern: regular expression, searched in the path of each file, or in the names of the
        runs of a chart of W&B. Its named groups `option`, `seed` and `condition` take the place of
        columns.
      question: title of the report.
      option_column: column of the options.
      seed_column: column of the seeds.
      value_column: column of the values.
      condition_column: column of the conditions, under which the comparison is repeated.
      metric_column: column of the names of metrics in a long table.
      epoch_column: column of the epochs; the last one counts.
      step_column: column of the steps within the epochs.
      split_column: column of the splits in a long table.
      learning_rate_column: column of the learning rates.
      image_column: column of the images in a table per image.
      correct_column: column of 0 and 1, whether the image is classified correctly.
      group_column: column of the groups of images that belong together.
    """

    metric: str = ''
    direction: str = fields.ruled('', fields.one_of(('', HIGHER, LOWER)))
    unit: str = fields.ruled('', fields.one_of(('', SHARE, PERCENT)))
    split: str = fields.ruled('', fields.one_of(('', *SPLITS)))
    path_pattern: str = fields.ruled('', _pattern)
    question: str = ''
    option_column: str = ''
    seed_column: str = ''
    value_column: str = ''
    condition_column: str = ''
    metric_column: str = ''
    epoch_column: str = ''
    step_column: str = ''
    split_column: str = ''
    learning_rate_column: str = ''
    image_column: str = ''
    correct_column: str = ''
    group_column: str = ''


# Role of a column -> names without case, spaces and signs, next to the name of the role.
ROLES: dict[str, tuple[str, ...]] = dict(
    correct=('iscorrect', 'hit'),
    image=('imageid', 'imagename', 'imagepath', 'filename', 'example', 'exampleid', 'sample'),
    group=('imagegroup', 'cluster', 'burst'),
    seed=('runseed', 'randomseed', 'rngseed', 'globalseed', 'randomstate'),
    option=('variant', 'model', 'method', 'config', 'group', 'name', 'runname', 'algorithm'),
    condition=('dataset', 'data', 'task', 'benchmark', 'environment'),
    metric=('metricname', 'variable', 'key'),
    epoch=(),
    step=('globalstep', 'iteration'),
    split=('subset', 'partition'),
    learning_rate=('lr',),
    value=(),
)
PER_IMAGE = ('image', 'group')  # roles that only a table with a column `correct` has
# What trackers put before the names of settings and tags.
PREFIX = re.compile(r'^(tags\.mlflow|tags|params|config|hparams)[./]', re.IGNORECASE)


def make_settings(pairs: Iterable[tuple[str, Any]]) -> AnalysisSettings:
    """Settings from `--set=KEY=VALUE` or from keywords.

    Args:
      pairs: keys and values.

    Returns:
      The settings.

    Raises:
      InputError: an unknown key, or a value that its field cannot have.
    """
    known = {field.name: field for field in dataclasses.fields(AnalysisSettings)}
    values = {}
    for key, value in pairs:
        if key not in known:
            raise unknown('setting', key, known, ' of --mode=analyze')
        values[key] = fields.check(key, known[key], str, value)
    return AnalysisSettings(**values)


def find_columns(table: Table, settings: AnalysisSettings) -> dict[str, str]:
    """Recognise the columns of a table.

    Args:
      table: the table.
      settings: columns that the user names.

    Returns:
      Role -> title of its column; roles without a column are left out. The column of values is
      only among them if it is named, or called `value`.

    Raises:
      InputError: several columns could have a role, or a named column is missing.
    """
    from_path = set(re.compile(settings.path_pattern).groupindex) if settings.path_pattern else ()
    columns: dict[str, str] = {}
    for role in ROLES:
        name = getattr(settings, f'{role}_column')
        if name:
            columns[role] = _named(table, name, f'{role}_column')
    for role in ROLES:
        if role in columns or role in from_path:
            continue
        if role in PER_IMAGE and 'correct' not in columns:
            continue
        title = _recognise(table, role, columns)
        if title:
            columns[role] = title
    return columns


def plain(title: str) -> str:
    """A title without case, spaces and signs, and without the prefix of a tracker."""
    return re.sub(r'[\W_]', '', PREFIX.sub('', title).lower())


def choose_metric(
    names: Collection[str], settings: AnalysisSettings, setting: str, where: str
) -> tuple[str, MetricName]:
    """Choose the metric that decides among the names of columns or cells.

    Args:
      names: titles of columns, or the values of the column of metrics.
      settings: with the metric and the split that the user names.
      setting: the setting that names one of `names` exactly.
      where: the table, for messages.

    Returns:
      The name, and the metric that it stands for.

    Raises:
      InputError: several names could be meant, or none.
    """
    metrics = {name: metric_names.recognise(name) for name in names}
    if settings.split:
        metrics = {
            name: metric for name, metric in metrics.items() if metric.split in ('', settings.split)
        }
    held_out = {name: metric for name, metric in metrics.items() if metric.split != 'train'}
    select = functools.partial(_matching, settings.metric) if settings.metric else _usual
    chosen = (settings.split != 'train' and select(held_out)) or select(metrics)
    if len(chosen) == 1:
        return chosen[0], metrics[chosen[0]]
    wanted = f'metric={settings.metric}' if settings.metric else 'the metric'
    if not chosen:
        offered = nearest(settings.metric, names) if settings.metric else shorten(names)
        raise InputError(
            f'{where}: {wanted} is not among the names ({offered}): set metric, such as '
            f'--set=metric={next(iter(names), "accuracy")}'
        )
    raise InputError(
        f'{where}: {wanted} could be {_either(chosen)}: choose by --set={setting}={chosen[0]}'
    )


def _matching(wanted: str, metrics: Mapping[str, MetricName]) -> list[str]:
    """Names that are written as `wanted`; without one those that stand for the same metric."""
    exact = [name for name in metrics if name == wanted]
    exact = exact or [name for name in metrics if plain(name) == plain(wanted)]
    if exact:
        return exact
    meant = metric_names.recognise(wanted)
    return [
        name
        for name, metric in metrics.items()
        if metric.metric.name == meant.metric.name and meant.split in ('', metric.split)
    ]


def _usual(metrics: Mapping[str, MetricName]) -> list[str]:
    """Names of the accuracy; without one of any recognised metric that rises; then of any."""
    tiers = (
        lambda name: metrics[name].metric is ACCURACY,
        lambda name: metrics[name].recognised and not metrics[name].metric.lower_is_better,
        lambda name: metrics[name].recognised,
    )
    return next((names for tier in tiers if (names := list(filter(tier, metrics)))), [])


def _named(table: Table, name: str, setting: str) -> str:
    titles = list(table.columns)
    for same in (
        lambda title: title == name,
        lambda title: title.lower() == name.lower(),
        lambda title: plain(title) == plain(name),
    ):
        matches = [title for title in titles if same(title)]
        if matches:
            return matches[0]
    raise InputError(f'{setting}={name}: {table.name} has no such column: {nearest(name, titles)}')


def _recognise(table: Table, role: str, columns: Mapping[str, str]) -> str:
    """Title of the column of a role; empty without one."""
    free = [
        title
        for title, cells in table.columns.items()
        if title not in columns.values() and not all(map(is_empty, cells))
    ]
    matches = [title for title in free if plain(title) == plain(role)]
    matches = matches or [title for title in free if plain(title) in ROLES[role]]
    if role == 'condition' and [plain(title) for title in matches] != ['condition']:
        # A data set that is the same in all rows is no condition.
        matches = [title for title in matches if len(set(map(str, table.columns[title]))) > 1]
    if len(matches) > 1:
        raise InputError(
            f'{table.name}: the column of the {role} could be {_either(matches)}: choose by '
            f'--set={role}_column={matches[0]}'
        )
    return matches[0] if matches else ''


def _either(names: Sequence[str]) -> str:
    return f'{shorten(names[:-1])} or {names[-1]}'
