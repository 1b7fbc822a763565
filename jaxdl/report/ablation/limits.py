"""What an ablation can and cannot show."""

from jaxdl.report.ablation import divergence, verdicts
from jaxdl.report.ablation.study import Study
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Items


def blocks(study: Study) -> list[Block]:
    """What the intervals cover and what they leave out, and every member that went wrong."""
    items = [_coverage(study), *_comparisons(study), *_resolution(study), *_splits(study)]
    if any(row['phase'] == 'tune' for row in study.table):
        items.append(
            f'The number of tuning seeds was {study.varying("tuning_seeds")}: other ones might have chosen a '
            'neighbouring rate, and no interval covers that.'
        )
    return [Items(items), *divergence.blocks(study)]


def _coverage(study: Study) -> str:
    names = dict.fromkeys(markup.name(words.local(data['name'])) for data in study.data.values())
    data = (
        f'one data set ({words.listing(names)})'
        if len(names) == 1
        else f'the data sets {words.listing(names)}'
    )
    model = '' if 'model' in study.varied else study.config['variant'].get('model', '')
    architecture = f'one architecture ({markup.name(model)}) and ' if model else ''
    resampled = [condition for condition in study.conditions if study.test_train_ratio(condition)]
    covered, split = 'order of the data, and noise (augmentation, dropout)', 'split once'
    if len(resampled) == len(study.conditions):
        covered, split = (
            f'{covered}, and the split of the data (Nadeau and Bengio 2003)',
            'split anew by every seed',
        )
    elif resampled:
        split = f'split anew by every seed under {words.listing(map(words.condition, resampled))}, else once'
    images = (
        ', unless they are said to be over test images too' if study.correct is not None else ''
    )
    return (
        f'The intervals cover the seeds: initial weights, {covered}. They cover nothing else{images}: all of this is '
        f'{data}, {split}, {architecture}training that ends at epoch {study.varying("epochs")}.'
    )


def _comparisons(study: Study) -> list[str]:
    if len(study.options) < 2:
        return []
    under = ' under each condition' if study.repeated else ''
    items = [
        f'{words.count(len(study.options) - 1, "comparison")} with the baseline{under}; Holm keeps the chance of any '
        f'false alarm among them at or below 5{words.SPACE}%. Options were not compared with each other.'
    ]
    missed = [
        row['detectable']
        for row in study.summary
        if row.get('verdict') == verdicts.NONE and row['detectable']
    ]
    if missed:
        least, most = words.number(min(missed)), words.number(max(missed))
        size = least if least == most else f'{least} to {most} (by option)'
        items.append(
            f'No difference found does not mean equal: a true difference of {size} {verdicts.POINTS} is what this '
            'many seeds find with probability 0.8, in a single comparison at 0.05; a smaller one may well be there. '
            'Only an option that is called equivalent was shown to differ by less than the margin.'
        )
    return items


def _resolution(study: Study) -> list[str]:
    return [
        f"One test image is {words.number(1 / images)} {verdicts.POINTS} (1 of {images:,}) of one member's accuracy; "
        'smaller differences between options come from averaging over seeds.'
        for images in dict.fromkeys(data['test'] for data in study.data.values())
    ]


def _splits(study: Study) -> list[str]:
    return list(dict.fromkeys(_split(study, condition) for condition in study.conditions))


def _split(study: Study, condition: str) -> str:
    split = study.design(condition)['data']['split']
    drawn = (study.data[condition].get('findings') or {}).get('split') or ''
    if 'as the source fixes' in drawn:
        return f"The split: {markup.flat(drawn)}. Whether that keeps series of images on one side is the source's word."
    if split == 'grouped':
        return (
            'The split keeps images that belong together on one side, so that near-duplicates of training images do '
            'not flatter the validation accuracy; series seen from other angles escape where no column names them.'
        )
    return (
        f'Where images come in series, a random split ({markup.code(f"split={split}")}) puts near-duplicates on both '
        'sides, and validation accuracy, by which the rates are chosen, flatters every option.'
    )
