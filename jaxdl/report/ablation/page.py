"""Sections of the report of an ablation, and the options that were compared."""

from jaxdl.report import provenance
from jaxdl.report.ablation import (
    contact_sheet,
    costs,
    diagnostics,
    equivalence,
    interaction,
    limits,
    logit_gradients,
    method,
    queries,
    registered_metrics,
    result,
    run_table,
    tuning,
    tuning_budget,
    uncertainty,
    variance_components,
    verdicts,
)
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import data_check, markup, words
from jaxdl.report.page.blocks import Block, Page, Paragraph, Section, Table

NO_EVIDENCE = (
    'This is a smoke run (--quick). It only shows that the program works. '
    'Its numbers are no evidence.'
)
# Optional figures of a study: name of the figure -> heading, blocks.
SHOWN = dict(
    logit_gradients=('Gradient at the logits', logit_gradients.blocks),
    probes=('Networks before and after training', diagnostics.blocks),
    contact_sheet=('Augmented images', contact_sheet.blocks),
).items()
USES = dict(train='training', val='validation', test='test')


def page(study: AblationRun) -> Page:
    """The whole report of a study.

    With several conditions the sections of the result are repeated for each.

    Args:
      study: a finished ablation.

    Returns:
      The page; sections without content are left out.
    """
    sections = [Section('Options', _compared(study))]
    for number, condition in enumerate(study.conditions, 1):
        of, suffix = study.of(condition), f'_{number}' if study.repeated else ''
        folder = study.artifacts / str(number - 1)
        checked = data_check.blocks(study, condition, f'near_duplicates{suffix}')
        comparison = [
            *result.comparison(study, condition, f'differences{suffix}'),
            *equivalence.blocks(study, condition),
        ]
        sections += [
            Section(f'Data{of}', checked),
            Section(f'Result{of}', comparison),
            Section(f'Other metrics{of}', registered_metrics.blocks(study, condition)),
            Section(f'Uncertainty{of}', uncertainty.blocks(study, condition)),
            Section(
                f'Sources of variance{of}',
                variance_components.blocks(study, condition, f'variance{suffix}'),
            ),
            *(
                Section(f'{title}{of}', part(folder, study, condition, f'{name}{suffix}'))
                for name, (title, part) in SHOWN
            ),
            Section(f'Learning curves{of}', result.learning(study, condition, f'learning{suffix}')),
            Section(
                f'Learning rates{of}', tuning.blocks(study, condition, f'learning_rates{suffix}')
            ),
            Section(
                f'Tuning budget{of}',
                tuning_budget.blocks(study, condition, f'expected_best{suffix}'),
            ),
            Section(f'Costs{of}', costs.blocks(study, condition)),
        ]
    sections += [
        Section('Interaction', interaction.blocks(study, 'interaction')),
        Section('Protocol', [*method.blocks(study), *run_table.rule(study)]),
        Section('Limits', limits.blocks(study)),
        Section('All runs', run_table.blocks(study)),
        Section('Provenance', provenance.blocks(study)),
    ]
    filled = [section for section in sections if section.blocks]
    return Page(markup.flat(study.config['question']), _head(study), filled)


def _head(study: AblationRun) -> list[Block]:
    head: list[Block] = (
        [Paragraph(NO_EVIDENCE, 'warning')] if study.config['scale'] == 'quick' else []
    )
    for condition in study.conditions:
        summary, name = (
            queries.compared(study, condition),
            f'{words.condition(condition)}: ' if study.repeated else '',
        )
        answer = f'{verdicts.short(summary)} {equivalence.sentence(study, condition)}'
        head += [Paragraph(name + answer.rstrip(), 'lead'), *verdicts.list_verdicts(summary, name)]
    data = dict.fromkeys(markup.flat(words.local(data.name)) for data in study.data.values())
    facts = (
        f'{words.count(study.summary[0]["seeds"], "seed")} per option',
        words.count(len(study.options), 'option'),
        f'data set {words.listing(data)}',
        markup.flat(study.run.device),
    )
    return [*head, Paragraph(' · '.join(facts), 'note')]


def _compared(study: AblationRun) -> list[Block]:
    config = study.config
    options = [
        [
            _option(study, o),
            words.settings(config['options'][o]),
            markup.flat(config['why'].get(o) or words.DASH),
        ]
        for o in study.options
    ]
    caption = f'Options of {markup.name(config["factor"])}'
    blocks: list[Block] = [Table(caption, ('Option', 'Setting', 'Expected effect'), options, 'lww')]
    if study.repeated:
        conditions = [
            [words.condition(c), words.settings(config['conditions'][c])] for c in study.conditions
        ]
        caption = 'Conditions; the study is repeated under each'
        blocks.append(Table(caption, ('Condition', 'Setting'), conditions, 'lw'))
    described = dict.fromkeys(_data(study, condition) for condition in study.conditions)
    blocks += [Paragraph(text) for text in described]
    return [*blocks, Paragraph(f'Settings that all runs share: {_common(study)}.', 'note')]


def _option(study: AblationRun, option: str) -> str:
    return markup.name(option) + (' (baseline)' if option == study.baseline else '')


def _data(study: AblationRun, condition: str) -> str:
    data = study.data[condition]
    differs = any(other != data for other in study.data.values())
    label = f'Data ({words.condition(condition)})' if differs else 'Data'
    name, description = (markup.flat(words.local(text)) for text in (data.name, data.description))
    shape = words.product(*data.image_shape).replace(' ', words.SPACE)
    uses = ', '.join(f'{getattr(data, split):,} for {use}' for split, use in USES.items())
    classes = words.count(len(data.classes), 'class')
    if len(data.classes) <= 20:
        classes += f': {", ".join(markup.flat(name) for name in data.classes)}'
    return (
        f'{label}: {markup.name(name)}, {description.rstrip(".")}. Images of {shape}: {uses}. '
        f'{classes[0].upper()}{classes[1:]}.'
    )


def _common(study: AblationRun) -> str:
    """The settings that nothing in the study varies."""
    common = {
        name: value for name, value in study.config['variant'].items() if name not in study.varied
    }
    return words.settings(
        {name: value for name, value in common.items() if name != 'learning_rate'}
    )
