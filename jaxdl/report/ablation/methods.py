"""Methods of an ablation, in words that can be copied into a paper."""

from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table


def blocks(study: AblationRun) -> list[Block]:
    """Options and conditions with their settings."""
    return [
        _options(study),
        *_conditions(study),
        Paragraph(f'All settings are in {markup.code("config.json")} of the workdir.', 'note'),
    ]


def _options(study: AblationRun) -> Table:
    config = study.config
    rows = [
        [
            markup.name(option) + (' (baseline)' if option == study.baseline else ''),
            words.settings(config['options'][option]),
            markup.flat(config['why'].get(option) or words.DASH),
        ]
        for option in study.options
    ]
    caption = f'Options of {markup.name(config["factor"])}'
    return Table(caption, ('Option', 'Setting', 'Expected effect'), rows, 'lww')


def _conditions(study: AblationRun) -> list[Block]:
    if not study.repeated:
        return []
    rows = [
        [words.condition(c), words.settings(study.config['conditions'][c])]
        for c in study.conditions
    ]
    caption = 'Conditions; the study is repeated under each'
    return [Table(caption, ('Condition', 'Setting'), rows, 'lw')]
