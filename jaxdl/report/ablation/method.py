"""How an ablation was done, in plain words with the numbers of this run."""

from collections.abc import Mapping

from jaxdl.report.ablation.study import Study
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Items, Paragraph


def blocks(study: Study) -> list[Block]:
    """The steps of the protocol in order, and what trained together."""
    steps = [step for step in (_tune(study), _measure(study), _compare(study)) if step]
    groups = study.run['groups']
    programs = words.count(sum(group['traces'] for group in groups), 'compiled program')
    together = (
        'A member is one option with one rate and one seed. Members of equal structure trained at once: '
        f'{words.count(len(_members(study)), "member")} in {words.count(len(groups), "group")}, with {programs}.'
    )
    return [Items(steps, ordered=True), Paragraph(together)]


def _tune(study: Study) -> str:
    texts = {condition: _tuned(study, condition) for condition in study.conditions}
    if not any(texts.values()):
        return ''
    return (
        f'Tune. {_each({condition: text or "no tuning" for condition, text in texts.items()})}. Each option by itself '
        f'takes the rate with the best mean validation accuracy at epoch {study.varying("epochs")}.'
    )


def _tuned(study: Study, condition: str) -> str:
    members, design = len(_members(study, condition, 'tune')), study.design(condition)
    if not members:
        return ''
    options, rates, seeds = (
        len(study.options),
        len(design['learning_rates']),
        design['tuning_seeds'],
    )
    planned = options * rates * seeds
    more = f', and {members - planned} more where a grid grew' if members > planned else ''
    factors = (
        words.count(options, 'option'),
        words.count(rates, 'learning rate'),
        words.count(seeds, 'tuning seed'),
    )
    return f'{words.product(*factors)}: {words.count(planned, "member")}{more}'


def _measure(study: Study) -> str:
    texts = {condition: _measured(study, condition) for condition in study.conditions}
    shared = 'the same initial weights where names and shapes agree, the same order of the data and the same noise'
    offset = [
        option for option in study.options if study.config['options'][option].get('seed_offset')
    ]
    apart = (
        f' Not so for {words.listing(map(markup.name, offset))}, whose seeds are shifted.'
        if offset
        else ''
    )
    return (
        f'Measure. {_each(texts)}. No seed that measures chose a rate. The same seed means {shared}, so differences '
        f'are paired.{apart}'
    )


def _measured(study: Study, condition: str) -> str:
    members = _members(study, condition, 'measure')
    seeds = sorted({seed for *_, seed in members})
    options, fresh = (
        words.count(len(study.options), 'option'),
        words.count(len(seeds), 'fresh seed'),
    )
    return f'{words.product(options, fresh)} ({seeds[0]} to {seeds[-1]}): {words.count(len(members), "member")}'


def _compare(study: Study) -> str:
    return (
        f'Compare. Accuracy on the test split after epoch {study.varying("epochs")}, the last one, whatever happened '
        'before. The test split had no part in any choice. Paired t test against the baseline, Holm over the options.'
    )


def _each(texts: Mapping[str, str]) -> str:
    """What was done under each condition, said once where it was the same under all."""
    if len(set(texts.values())) > 1:
        return '; '.join(
            f'{words.condition(condition)}: {text}' for condition, text in texts.items()
        )
    again = f', under each of {words.count(len(texts), "condition")}' if len(texts) > 1 else ''
    return f'{next(iter(texts.values()))}{again}'


def _members(study: Study, *within: str) -> set[tuple[str, str, str, float, int]]:
    """Every member, or those within a condition and phase."""
    members = {
        (row['condition'], row['phase'], row['option'], row['learning_rate'], row['seed'])
        for row in study.table
    }
    return {member for member in members if member[: len(within)] == within}
