"""Limits of an ablation: coverage of the intervals, resolution, splits, failed runs."""

from jaxdl.report.ablation import divergence, extensions, finetuning, verdicts
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Items
from jaxdl.report.page.scale import POINTS
from jaxdl.statistics.metrics import ACCURACY


def blocks(study: AblationRun) -> list[Block]:
    """A list of limits, then the failed runs."""
    items = [
        *extensions.limits(study),
        _coverage(study),
        *_comparisons(study),
        *_resolution(study),
        *_splits(study),
    ]
    if any(row['phase'] == 'tune' for row in study.table):
        chosen = 'neighbouring point' if study.searched else 'neighbouring learning rate'
        items.append(
            f'Tuning seeds: {study.varying("tuning_seeds")}. Other tuning seeds may select a '
            f'{chosen}. No interval covers that choice.'
        )
    if study.base:
        items.append(finetuning.FIXED)
    return [Items(items), *divergence.blocks(study)]


def _coverage(study: AblationRun) -> str:
    names = dict.fromkeys(markup.name(words.local(data.name)) for data in study.data.values())
    data = (
        f'one data set ({words.listing(names)})'
        if len(names) == 1
        else f'the data sets {words.listing(names)}'
    )
    variant = study.design(study.conditions[0])['variant']
    model = '' if 'model' in study.varied else variant.get('model', '')
    architecture = f'one architecture ({markup.name(model)}), ' if model else ''
    resampled = [condition for condition in study.conditions if study.test_train_ratio(condition)]
    covered, split = 'data order, noise (augmentation, dropout)', 'one split'
    if len(resampled) == len(study.conditions):
        covered, split = (
            f'{covered}, and the split of the data (Nadeau and Bengio 2003)',
            'another split per seed',
        )
    elif resampled:
        split = (
            f'another split per seed under {words.listing(map(words.condition, resampled))}, '
            'otherwise one split'
        )
    over_images = any(row.get('verdict_images') for row in study.summary)
    images = (
        ' Intervals over seeds and images cover other test images as well.' if over_images else ''
    )
    head = f'the probe, {covered}' if study.base else f'initial weights, {covered}'
    pretrained = 'pretrained weights, ' if study.base else ''
    return (
        f'The intervals cover other seeds: {head}.{images} The intervals do '
        f'not cover other data sets, splits, {pretrained}architectures or training lengths. This '
        'study has '
        f'{data}, {split}, {architecture}{study.varying("epochs")} epochs.'
    )


def _comparisons(study: AblationRun) -> list[str]:
    if len(study.options) < 2:
        return []
    under = ' under each condition' if study.repeated else ''
    several = len(study.pairs) // len(study.conditions)
    others = f' and {several} of options with each other' if several else ''
    items = [
        f'{words.count(len(study.options) - 1, "comparison")} with the baseline{others}{under}. '
        f'Holm limits the probability of any false alarm among them to 5{words.SPACE}%. '
        f'{"No other options are" if several else "Options are not"} compared with each other.'
    ]
    detectable = [
        row['corrected_detectable']
        for row in study.summary
        if row.get('verdict') == verdicts.NONE and row['corrected_detectable']
    ]
    if detectable:
        least, most = (study.scale.size(end(detectable)) for end in (min, max))
        size = study.scale.in_points(least if least == most else f'{least} to {most}')
        items.append(
            '"No difference found" does not mean equal. The minimum detectable difference is '
            f"{size} (80{words.SPACE}% power, first step of Holm's correction). "
            'Smaller differences may exist. Only options called equivalent were shown to differ by '
            'less than the margin.'
        )
    return items


def _resolution(study: AblationRun) -> list[str]:
    if study.metric is not ACCURACY:
        return []
    return [
        f'One of {images:,} test images is {words.number(1 / images)} {POINTS} of the '
        'accuracy of one run. Smaller differences between options come from averaging over seeds.'
        for images in dict.fromkeys(data.test for data in study.data.values())
    ]


def _splits(study: AblationRun) -> list[str]:
    return list(dict.fromkeys(_split(study, condition) for condition in study.conditions))


def _split(study: AblationRun, condition: str) -> str:
    drawn = study.data[condition].findings.get('split') or ''
    if 'as the source fixes' in drawn:
        return (
            f'Split: {markup.flat(drawn)}. Whether it keeps bursts of photographs on one side was '
            'not checked.'
        )
    if 'groups that the source names' in drawn:
        return (
            'The split keeps every group that the source names on one side. Near-duplicates of '
            'different groups may be on both sides.'
        )
    if 'in whole' in drawn or study.design(condition)['data']['split'] == 'grouped':
        return (
            'The split keeps groups of near-duplicates on one side. Bursts seen from other angles '
            'are not detected unless a column names them.'
        )
    selected = 'the epoch and the probe' if study.base else 'the learning rates'
    return (
        f'If the data set has bursts, a random split ({markup.code("split=stratified")}) puts '
        f'near-duplicates on both sides. Then the validation split, which selects {selected}, '
        'makes every option look better than it is.'
    )
