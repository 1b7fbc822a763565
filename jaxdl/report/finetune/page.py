"""Sections of the report of a fine-tuning, and its head."""

from jaxdl.report.ablation.page import NO_EVIDENCE
from jaxdl.report.finetune import (
    calibration,
    confusion,
    data,
    decisions,
    epochs,
    gallery,
    label_issues,
    model_card,
    probe_search,
    scores,
    split_comparison,
)
from jaxdl.report.finetune.reading import FineTuneRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Page, Paragraph, Section


def page(fitted: FineTuneRun) -> Page:
    """All sections of the report of a fine-tuning.

    Args:
      fitted: a finished fine-tuning.

    Returns:
      The page; sections without content are left out.
    """
    sections = [
        Section('Result', scores.result(fitted)),
        Section('Uncertainty', split_comparison.blocks(fitted)),
        Section('Learning curves', epochs.blocks(fitted, 'learning')),
        Section('Probe', probe_search.blocks(fitted, 'probe_grid')),
        Section('Confusions', confusion.blocks(fitted, 'confusion')),
        Section('Most confident mistakes', gallery.mistakes(fitted, 'mistakes')),
        Section('Possible label errors', label_issues.blocks(fitted, 'label_issues')),
        Section('Grad-CAM', gallery.gradcam(fitted, 'gradcam')),
        Section('Calibration', calibration.blocks(fitted, 'calibration')),
        Section('Evidence for each setting', decisions.blocks(fitted, 'decisions')),
        Section('Data', data.blocks(fitted, 'near_duplicates')),
        Section('Model card', model_card.card(fitted)),
        Section('Prediction', model_card.predict(fitted)),
        Section('Costs', model_card.cost(fitted)),
        Section('Provenance', model_card.provenance_blocks(fitted)),
    ]
    return Page(
        markup.flat(fitted.config['question']), head(fitted), [s for s in sections if s.blocks]
    )


def head(fitted: FineTuneRun) -> list[Block]:
    """The result in two sentences, and the bias of the split."""
    quick: list[Block] = (
        [Paragraph(NO_EVIDENCE, 'warning')] if fitted.config['scale'] == 'quick' else []
    )
    lead = f'{scores.sentence(fitted)} {scores.gain(fitted)}'.strip()
    bias = split_comparison.bias(fitted)
    facts = (
        markup.flat(words.local(fitted.plan.data.name)),
        words.count(len(fitted.classes), 'class'),
        f'{fitted.plan.data.train:,} training images',
        markup.flat(fitted.run.device),
    )
    notes: list[Block] = [Paragraph(bias)] if bias else []
    return [*quick, Paragraph(lead, 'lead'), *notes, Paragraph(' · '.join(facts), 'note')]
