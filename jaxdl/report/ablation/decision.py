"""Decision of an ablation: the chosen option, its reason, its cost, and what would change it."""

from collections.abc import Callable, Mapping, Sequence

from jaxdl import statistics
from jaxdl.report.ablation import equivalence, more_seeds, queries, uncertainty, verdicts
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, scale, words
from jaxdl.report.page.blocks import Block, Items, Paragraph
from jaxdl.workdir.tables import Row

BETTER = 'better'
THESE = 'for new seeds on the same data; there is no comparison for new images'
SMOKE = 'A smoke run (--quick) is no evidence. This section only shows the form of a decision.'
Cost = tuple[Callable[[float], str], str]  # number with its unit, noun of the ratio
# Column of costs.csv -> its words.
COSTS: dict[str, Cost] = dict(
    parameters=(lambda value: f'{words.exactly(value)} parameters', 'parameters'),
    flops=(lambda value: f'{words.amount(value)} FLOPs per image', 'FLOPs'),
    seconds_per_member=(
        lambda value: f'{words.significant(value)}{words.SPACE}s of training per member',
        'seconds',
    ),
)
# The same of an ablation of a fine-tuning.
OF_BASE: dict[str, Cost] = dict(
    parameters=(lambda value: f'{words.exactly(value)} trained parameters', 'trained parameters')
)


def blocks(study: AblationRun) -> list[Block]:
    """The decision under each condition; empty if nothing was compared."""
    content: list[Block] = []
    for condition in study.conditions:
        compared = queries.options_compared(study, condition)
        if not compared:
            continue
        if study.repeated:
            content.append(Paragraph(markup.name(words.condition(condition))))
        candidate = choose(compared) or _best_here(compared)
        cost = _cost(study, condition, candidate, choose(compared) is None)
        advice = more_seeds.advice(study, candidate or max(compared, key=_improvement))
        equivalent = equivalence.sentence(study, condition)
        content.append(Items(decide(compared, equivalent, cost, advice)))
    if not content:
        return []
    smoke = [Paragraph(SMOKE)] if study.config['scale'] == 'quick' else []
    return [*smoke, *content, Paragraph(_scope(study), 'note')]


def choose(compared: Sequence[Row]) -> Row | None:
    """Row of the chosen option.

    Args:
      compared: rows of the summary under one condition, without the baseline.

    Returns:
      Of the options that are better on these test images and on new images, the one with the
      largest improvement; None if there is no such option, so that the baseline is kept. Without a
      comparison for new images the verdict on these images decides.
    """
    better = [row for row in compared if _is_better(row)]
    return max(better, key=_improvement, default=None)


def _is_better(row: Row) -> bool:
    return row['verdict'] == BETTER and row['verdict_images'] in (BETTER, None)


def _improvement(row: Row) -> float:
    return row.get('improvement', row['difference'])


def decide(
    compared: Sequence[Row], equivalent: str = '', cost: str = '', advice: str = ''
) -> list[str]:
    """The decision under one condition, an item per line.

    Args:
      compared: rows of the summary, without the baseline.
      equivalent: sentence on equivalent options; empty for none.
      cost: sentences on costs; empty to leave the item out.
      advice: sentences on more seeds; empty to leave the item out.
    """
    chosen = choose(compared)
    here = [row for row in compared if row['verdict'] == BETTER]
    candidate = chosen or max(here or compared, key=_improvement)
    items = {
        'Chosen option': _chosen(chosen, compared) if chosen else _kept(compared, here),
        'Reason': f'{_reason(candidate)} {equivalent}'.rstrip(),
        'Cost': cost,
        'Change of the decision': _change(candidate, chosen is None),
        'More seeds': advice,
    }
    return [f'{markup.name(name)}: {text}' for name, text in items.items() if text]


def _best_here(compared: Sequence[Row]) -> Row | None:
    """The best of the options that are better on these images; None if there is none."""
    here = [row for row in compared if row['verdict'] == BETTER]
    return max(here, key=_improvement, default=None)


def _chosen(chosen: Row, compared: Sequence[Row]) -> str:
    option, baseline = markup.name(chosen['option']), markup.name(chosen['baseline'])
    both = chosen['verdict_images'] is not None
    levels = 'at both levels: on these test images and on new images' if both else THESE
    others = [
        f'{markup.name(row["option"])} ({scale.of(row).points(row["difference"])})'
        for row in compared
        if row is not chosen and _is_better(row)
    ]
    text = f'{option}. It is better than {baseline} {levels}.'
    if not others:
        return text
    also = 'Also better at both levels' if both else 'Also better'
    return (
        f'{text} {also}: {words.listing(others)}. {option} has the largest '
        'difference; options are not compared with each other.'
    )


def _kept(compared: Sequence[Row], here: Sequence[Row]) -> str:
    both = compared[0]['verdict_images'] is not None
    levels = 'at both levels: on these test images and on new images' if both else THESE
    text = (
        f'{markup.name(compared[0]["baseline"])}; the baseline is kept. No option is better '
        f'{levels}.'
    )
    if not here:
        return text
    names = words.listing(markup.name(row['option']) for row in here)
    images = words.count(here[0]['images'], 'test image')
    return f'{text} Better on these {images} only: {names}.'


def _reason(row: Row) -> str:
    seeds, unit = words.counts(verdicts.seeds([row]), 'seed'), scale.of(row)
    difference = unit.points(row['difference'])
    in_metric = (
        f'{unit.in_points(difference)} of {unit.compared}'
        if unit.percent
        else f'{difference} in {unit.compared}'
    )
    over_seeds = (
        f'The difference of {markup.name(row["option"])} from {markup.name(row["baseline"])} is '
        f'{in_metric}. '
        f'Corrected {verdicts.INTERVAL} over {seeds}: {verdicts.interval_of_verdict(row)} '
        f'({_p(row["p_holm"])}).'
    )
    if row['verdict_images'] is None:
        return over_seeds
    images = words.count(row['images'], 'test image')
    if not row['components']:
        return f'{over_seeds} Each seed has its own test images, so this interval covers new ones.'
    over_images = (
        f'Corrected {verdicts.INTERVAL} over seeds and {images}: '
        f'{verdicts.interval_of_verdict(row, "_images")} '
        f'({_p(row["p_holm_images"])}).'
    )
    if row['image_groups'] >= statistics.FEWEST_GROUPS:
        return f'{over_seeds} {over_images}'
    groups = words.count(row['image_groups'], 'group')
    few = f'The images form {groups}, too few for a verdict on new images.'
    return f'{over_seeds} {over_images} {few}'


def _p(p_holm: float) -> str:
    text = words.p_value(p_holm)
    return f'p (Holm) {text}' if text.startswith('<') else f'p (Holm) = {text}'


def _cost(study: AblationRun, condition: str, row: Row | None, keeps_baseline: bool) -> str:
    """Cost of the baseline if it is kept, and of an option relative to the baseline."""
    base = study.costs.get((condition, study.baseline), {})
    costs = COSTS | OF_BASE if study.base else COSTS
    parts = [_absolute(study.baseline, base, costs)] if keeps_baseline else []
    if row is not None:
        cost = study.costs.get((condition, row['option']), {})
        ratios = [
            f'{noun} {words.TIMES}{words.SPACE}{cost[key] / base[key]:.2f}'
            for key, (_, noun) in costs.items()
            if cost.get(key) is not None and base.get(key)
        ]
        parts += [] if keeps_baseline else [_absolute(row['option'], cost, costs)]
        if ratios:
            relative = f'{markup.name(row["option"])} relative to {markup.name(study.baseline)}'
            parts.append(f'{relative}: {", ".join(ratios)}.')
    return ' '.join(part for part in parts if part) or 'not recorded.'


def _absolute(option: str, cost: Row, costs: Mapping[str, Cost]) -> str:
    numbers = [write(cost[key]) for key, (write, _) in costs.items() if cost.get(key) is not None]
    return f'{markup.name(option)} has {words.listing(numbers)}.' if numbers else ''


def _change(row: Row, keeps_baseline: bool) -> str:
    """Dominant source of the uncertainty, and minimum detectable differences."""
    option, components = markup.name(row['option']), row['components']
    levels = ' at both levels' if row['verdict_images'] is not None else ''
    if keeps_baseline:
        text = (
            f'a larger study in which an option is better{levels}; here '
            f'{option} has the largest difference.'
        )
    else:
        text = f'a larger study in which {option} is not better{levels}.'
    seeds = words.counts(verdicts.seeds([row]), 'seed')
    if not components:
        own = ', each with its own split,' if levels else ''
        more = f'More seeds{own} would narrow the interval.'
        least = _with_unit(row, verdicts.detectable(row))
        return f'{text} {more} Minimum detectable difference with {seeds}: {least}.'
    more = {
        'test images': 'More test images would narrow the interval most',
        'seeds': 'More seeds would narrow the interval most',
        'neither': 'More test images and more seeds would narrow the interval alike',
    }[uncertainty.dominant_source(components)]
    shares = (
        f'share of the variance: images {100 * components.share_images:.0f}{words.SPACE}%, '
        f'seeds {100 * components.share_seeds:.0f}{words.SPACE}%, '
        f'residual {100 * components.share_rest:.0f}{words.SPACE}%'
    )
    least = (
        f'{_with_unit(row, verdicts.detectable(row))} on these images, '
        f'{_with_unit(row, verdicts.detectable_images(row))} on new images'
    )
    return (
        f'{text} {more} ({shares}). Minimum detectable difference of {option} with {seeds}: {least}'
        f" (80{words.SPACE}% power, first step of Holm's correction)."
    )


def _with_unit(row: Row, detectable: str) -> str:
    estimable = detectable != verdicts.NOT_ESTIMABLE
    return scale.of(row).in_points(detectable) if estimable else detectable


def _scope(study: AblationRun) -> str:
    names = dict.fromkeys(markup.name(words.local(data.name)) for data in study.data.values())
    return (
        f'The decision holds for the data set{"s" if len(names) > 1 else ""} '
        f'{words.listing(names)}, this network and '
        f'{study.varying("epochs")} epochs. No interval covers other data sets, networks or '
        'training lengths.'
    )
