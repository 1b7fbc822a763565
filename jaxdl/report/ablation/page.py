"""Sections of the report of an ablation, in the order in which a reader decides."""

from collections.abc import Callable, Sequence

from jaxdl.report import provenance
from jaxdl.report.ablation import (
    contact_sheet,
    costs,
    data,
    decision,
    diagnostics,
    differing,
    divergence,
    equivalence,
    extensions,
    interaction,
    limits,
    logit_gradients,
    methods,
    other_metrics,
    protocol_steps,
    queries,
    result,
    run_table,
    search,
    tuning,
    tuning_budget,
    uncertainty,
    variance_components,
    verdicts,
)
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Page, Paragraph, Section

NO_EVIDENCE = (
    'This is a smoke run (--quick). It only shows that the program works. '
    'Its numbers are no evidence.'
)
# Optional figures of a study: name of the figure -> heading, blocks.
SHOWN = dict(
    logit_gradients=('Gradient at the logits', logit_gradients.blocks),
    probes=('Networks before and after training', diagnostics.blocks),
    contact_sheet=('Augmented images', contact_sheet.blocks),
)


def page(study: AblationRun) -> Page:
    """The whole report of a study.

    With several conditions each section is repeated for each condition.

    Args:
      study: a finished ablation.

    Returns:
      The page; sections without content are left out.
    """
    sections = [
        *_repeat(
            study, 'Result', lambda c, _: result.comparison(study, c, divergence.warnings(study, c))
        ),
        *_repeat(study, 'Further comparisons', lambda c, _: result.pairs_compared(study, c)),
        *_repeat(study, 'Other metrics', lambda c, _: other_metrics.blocks(study, c)),
        *_repeat(
            study, 'Learning curves', lambda c, end: result.learning(study, c, f'learning{end}')
        ),
        *_repeat(
            study,
            'Images on which options differ',
            lambda c, end: differing.blocks(study.folder(c), study, c, f'differing{end}'),
        ),
        *_optional_figures(study),
        Section('Interaction and main effects', interaction.blocks(study, 'interaction')),
        Section('Decision', decision.blocks(study)),
        Section('Methods', methods.blocks(study)),
        *data.sections(study),
    ]
    return Page(
        markup.flat(study.config['question']), _head(study), _filled(sections), _appendix(study)
    )


def _appendix(study: AblationRun) -> list[Section]:
    """Details for readers who check the result."""
    sections = [
        *_repeat(study, 'Uncertainty', lambda c, _: _uncertainty(study, c)),
        *_repeat(
            study,
            'Sources of variance',
            lambda c, end: variance_components.blocks(study, c, f'variance{end}'),
        ),
        *_repeat(study, 'Equivalence', lambda c, _: equivalence.blocks(study, c)),
        *_repeat(
            study,
            _tuning_title(study),
            lambda c, end: (
                search.blocks(study, c, f'search{end}')
                if study.search(c)
                else tuning.blocks(study, c, f'learning_rates{end}')
            ),
        ),
        *_repeat(
            study,
            'Tuning budget',
            lambda c, end: tuning_budget.blocks(study, c, f'expected_best{end}'),
        ),
        *_repeat(study, 'Costs', lambda c, _: costs.blocks(study, c)),
        Section('Protocol', [*protocol_steps.blocks(study), *run_table.rule(study)]),
        Section('Limits', limits.blocks(study)),
        Section('All runs', run_table.blocks(study)),
        Section('Provenance', provenance.blocks(study)),
    ]
    return _filled(sections)


def _uncertainty(study: AblationRun, condition: str) -> list[Block]:
    blocks = uncertainty.blocks(study, condition)
    return [*blocks, Paragraph(uncertainty.ROUNDING, 'note')] if blocks else []


def _tuning_title(study: AblationRun) -> str:
    if study.base:
        return 'Tuning'
    return 'Search' if study.searched else 'Learning rates'


def _repeat(
    study: AblationRun, title: str, blocks: Callable[[str, str], Sequence[Block]]
) -> list[Section]:
    """One section per condition.

    Args:
      study: an ablation.
      title: the heading, without the name of the condition.
      blocks: condition, and the end of the names of its figures -> content.
    """
    return [
        Section(f'{title}{study.of(condition)}', blocks(condition, study.suffix(condition)))
        for condition in study.conditions
    ]


def _optional_figures(study: AblationRun) -> list[Section]:
    return [
        Section(
            f'{title}{study.of(condition)}',
            part(study.folder(condition), study, condition, f'{name}{study.suffix(condition)}'),
        )
        for condition in study.conditions
        for name, (title, part) in SHOWN.items()
    ]


def _filled(sections: Sequence[Section]) -> list[Section]:
    return [section for section in sections if section.blocks]


def _head(study: AblationRun) -> list[Block]:
    """The answer to each condition in words and as a plot, and the size of the study."""
    head: list[Block] = (
        [Paragraph(NO_EVIDENCE, 'warning')] if study.config['scale'] == 'quick' else []
    )
    for condition in study.conditions:
        name = f'{words.condition(condition)}: ' if study.repeated else ''
        answer = verdicts.short(queries.compared(study, condition))
        equivalent = equivalence.sentence(study, condition)
        figure = f'differences{study.suffix(condition)}'
        head += [
            Paragraph(f'{name}{answer} {equivalent}'.rstrip(), 'lead'),
            *result.forest_plot(study, condition, figure),
        ]
    names = dict.fromkeys(markup.flat(words.local(data.name)) for data in study.data.values())
    lower = ' (lower is better)' if study.metric.lower_is_better else ''
    facts = (
        f'compared by {study.scale.name}{lower}',
        f'{words.count(study.summary[0]["seeds"], "seed")} per option',
        words.count(len(study.options), 'option'),
        f'data set {words.listing(names)}',
        markup.flat(study.run.device),
    )
    return [*head, Paragraph(' · '.join(facts), 'note'), *extensions.head(study)]
