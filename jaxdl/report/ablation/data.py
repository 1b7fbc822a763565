"""Data of an ablation: images, splits and the result of the data check."""

from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import data_check, markup, words
from jaxdl.report.page.blocks import Paragraph, Section

USES = dict(train='training', val='validation', test='test')


def sections(study: AblationRun) -> list[Section]:
    """One section per data set; conditions that share their data share the section."""
    conditions: list[str] = []
    for condition in study.conditions:
        if all(study.data[other] != study.data[condition] for other in conditions):
            conditions.append(condition)
    return [
        Section(
            'Data' if len(conditions) == 1 else f'Data{study.of(condition)}',
            [
                Paragraph(_describe(study, condition)),
                *data_check.blocks(study, condition, f'near_duplicates{study.suffix(condition)}'),
            ],
        )
        for condition in conditions
    ]


def _describe(study: AblationRun, condition: str) -> str:
    data = study.data[condition]
    name, description = (markup.flat(words.local(text)) for text in (data.name, data.description))
    description = description.removeprefix(f'{name}: ').rstrip('.')
    shape = words.product(*data.image_shape).replace(' ', words.SPACE)
    uses = ', '.join(f'{getattr(data, split):,} for {use}' for split, use in USES.items())
    classes = words.count(len(data.classes), 'class')
    if len(data.classes) <= 20:
        classes += f': {", ".join(markup.flat(name) for name in data.classes)}'
    return (
        f'{markup.name(name)}: {description}. Images of {shape}: {uses}. '
        f'{classes[0].upper()}{classes[1:]}.'
    )
