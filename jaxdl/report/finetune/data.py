"""The data of a fine-tuning: how many images and classes, and what the check of the data found."""

from jaxdl.report.finetune.finetuned import SPLITS, Fitted
from jaxdl.report.page import data_check, markup, words
from jaxdl.report.page.blocks import Block, Paragraph, Table

FINDINGS = ('parts', 'split', 'skipped', 'single', 'identical', 'near')


def blocks(fitted: Fitted, figure: str) -> list[Block]:
    """What the data set is, then the check of it; counts alone where the plan holds no findings."""
    data = fitted.plan['data']
    findings = data.get('findings') or {}
    described = f'{markup.name(words.local(data["name"]))}, {markup.flat(words.local(data["description"])).rstrip(".")}'
    unlabelled = data.get('unlabelled')
    more = f' {unlabelled:,} more have no label: they were only predicted.' if unlabelled else ''
    opening = Paragraph(f'Data: {described}. {words.count(len(fitted.classes), "class")}.{more}')
    if all(key in findings for key in FINDINGS):
        place = fitted.artifacts / 'near_duplicates.npz'
        return [opening, *data_check.found(findings, place, figure)]
    rows = [[called, f'{data[part]:,}'] for part, called in SPLITS.items() if data.get(part)]
    return [opening, Table('The parts', ('Part', 'Images'), rows, 'lr')]
