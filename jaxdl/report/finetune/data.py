"""Data of a fine-tuning: numbers of images and classes, findings of the data check."""

from jaxdl.report.finetune.reading import SPLITS, FineTuneRun
from jaxdl.report.page import data_check, markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table

FINDINGS = ('parts', 'split', 'skipped', 'single', 'identical', 'near')


def blocks(fitted: FineTuneRun, figure: str) -> list[Block]:
    """Description of the data set and its check; counts only if the plan has no findings."""
    data = fitted.plan.data
    findings = data.findings
    description = markup.flat(words.local(data.description)).rstrip('.')
    described = f'{markup.name(words.local(data.name))}, {description}'
    unlabelled = data.unlabelled
    more = f' {unlabelled:,} images have no label and were only predicted.' if unlabelled else ''
    opening = Paragraph(f'Data: {described}. {words.count(len(fitted.classes), "class")}.{more}')
    if all(key in findings for key in FINDINGS):
        path = fitted.artifacts / 'near_duplicates.npz'
        return [opening, *data_check.finding_blocks(findings, path, figure)]
    rows = [
        [called, f'{getattr(data, part):,}']
        for part, called in SPLITS.items()
        if getattr(data, part, 0)
    ]
    return [opening, Table('Splits', ('Split', 'Images'), rows, 'lr')]
