"""The report of an ablation: which sections it has, and what was compared."""

from jaxdl.report import provenance
from jaxdl.report.ablation import (
    contact_sheet,
    costs,
    diagnostics,
    equivalence,
    every_run,
    interaction,
    limits,
    logit_gradients,
    method,
    outcome,
    own_metrics,
    queries,
    tuning,
    tuning_budget,
    uncertainty,
    variance_sources,
    verdicts,
)
from jaxdl.report.ablation.study import Study
from jaxdl.report.page import data_check, markup, words
from jaxdl.report.page.blocks import Block, Page, Paragraph, Section, Table

NO_EVIDENCE = (
    'This is a quick run, and no evidence. It was shrunk to show that everything works: '
    'its numbers say nothing about the question.'
)
# What a study may ask to be shown beside its results: name of the figure -> heading, blocks.
SHOWN = dict(
    logit_gradients=('The gradient at the logits', logit_gradients.blocks),
    probes=('How each option starts and ends', diagnostics.blocks),
    contact_sheet=('What the augmentations do', contact_sheet.blocks),
).items()
USES = dict(train='training', val='validation', test='testing')


def page(study: Study) -> Page:
    """The whole report of a study.

    With several conditions the sections of the result come once for each.
    """
    sections = [Section('What was compared', _compared(study))]
    for number, condition in enumerate(study.conditions, 1):
        of, suffix = study.of(condition), f'_{number}' if study.repeated else ''
        folder = study.artifacts / str(number - 1)
        checked = data_check.blocks(study, condition, f'near_duplicates{suffix}')
        result = [
            *outcome.result(study, condition, f'differences{suffix}'),
            *equivalence.blocks(study, condition),
        ]
        sections += [
            Section(f'The data{of}', checked),
            Section(f'The result{of}', result),
            Section(f'Other metrics{of}', own_metrics.blocks(study, condition)),
            Section(f'How sure the differences are{of}', uncertainty.blocks(study, condition)),
            Section(
                f'Where the variance comes from{of}',
                variance_sources.blocks(study, condition, f'variance{suffix}'),
            ),
            *(
                Section(f'{title}{of}', part(folder, study, condition, f'{name}{suffix}'))
                for name, (title, part) in SHOWN
            ),
            Section(f'Learning{of}', outcome.learning(study, condition, f'learning{suffix}')),
            Section(
                f'Learning rates{of}', tuning.blocks(study, condition, f'learning_rates{suffix}')
            ),
            Section(
                f'By the number of rates tried{of}',
                tuning_budget.blocks(study, condition, f'expected_best{suffix}'),
            ),
            Section(f'Costs{of}', costs.blocks(study, condition)),
        ]
    sections += [
        Section('Interaction', interaction.blocks(study, 'interaction')),
        Section('The protocol', [*method.blocks(study), *every_run.rule(study)]),
        Section('What this shows, and what it does not', limits.blocks(study)),
        Section('Every run', every_run.blocks(study)),
        Section('Provenance', provenance.blocks(study)),
    ]
    filled = [section for section in sections if section.blocks]
    return Page(markup.flat(study.config['question']), _head(study), filled)


def _head(study: Study) -> list[Block]:
    head: list[Block] = (
        [Paragraph(NO_EVIDENCE, 'warning')] if study.config['scale'] == 'quick' else []
    )
    for condition in study.conditions:
        summary, name = (
            queries.compared(study, condition),
            f'{words.condition(condition)}: ' if study.repeated else '',
        )
        answer = f'{verdicts.short(summary)} {equivalence.sentence(study, condition)}'
        head += [Paragraph(name + answer.rstrip(), 'lead'), *verdicts.listed(summary, name)]
    data = dict.fromkeys(markup.flat(words.local(data['name'])) for data in study.data.values())
    facts = (
        f'{words.count(study.summary[0]["seeds"], "seed")} an option',
        words.count(len(study.options), 'option'),
        f'data set {words.listing(data)}',
        markup.flat(study.run['device']),
    )
    return [*head, Paragraph(' · '.join(facts), 'note')]


def _compared(study: Study) -> list[Block]:
    config = study.config
    options = [
        [
            _option(study, o),
            words.settings(config['options'][o]),
            markup.flat(config['why'].get(o) or words.DASH),
        ]
        for o in study.options
    ]
    caption = f'The options of {markup.name(config["factor"])}'
    blocks: list[Block] = [
        Table(caption, ('Option', 'Setting', 'Why it might matter'), options, 'lww')
    ]
    if study.repeated:
        conditions = [
            [words.condition(c), words.settings(config['conditions'][c])] for c in study.conditions
        ]
        caption = 'The conditions, under each of which the study repeats itself'
        blocks.append(Table(caption, ('Condition', 'Setting'), conditions, 'lw'))
    described = dict.fromkeys(_data(study, condition) for condition in study.conditions)
    blocks += [Paragraph(text) for text in described]
    return [*blocks, Paragraph(f'The same throughout: {_common(study)}.', 'note')]


def _option(study: Study, option: str) -> str:
    return markup.name(option) + (' (baseline)' if option == study.baseline else '')


def _data(study: Study, condition: str) -> str:
    data = study.data[condition]
    differs = any(other != data for other in study.data.values())
    where = f'Data ({words.condition(condition)})' if differs else 'Data'
    name, description = (markup.flat(words.local(data[key])) for key in ('name', 'description'))
    shape = words.product(*data['image_shape']).replace(' ', words.SPACE)
    uses = ', '.join(f'{data[split]:,} for {use}' for split, use in USES.items())
    classes = words.count(len(data['classes']), 'class')
    if len(data['classes']) <= 20:
        classes += f': {", ".join(markup.flat(name) for name in data["classes"])}'
    return f'{where}: {markup.name(name)}, {description.rstrip(".")}. Images of {shape}; {uses}; {classes}.'


def _common(study: Study) -> str:
    """The settings that nothing in the study varies."""
    common = {
        name: value for name, value in study.config['variant'].items() if name not in study.varied
    }
    return words.settings(
        {name: value for name, value in common.items() if name != 'learning_rate'}
    )
