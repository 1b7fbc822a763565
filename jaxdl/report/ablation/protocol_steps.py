"""Protocol of an ablation in words, with the numbers of this run."""

from collections.abc import Mapping

from jaxdl.report.ablation import extensions, finetuning, queries
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Items, Paragraph
from jaxdl.statistics import protocol


def blocks(study: AblationRun) -> list[Block]:
    """Steps of the protocol, and the groups that trained together."""
    steps = [step for step in (_tune(study), _measure(study), _compare(study)) if step]
    steps += extensions.steps(study)
    if study.base:
        runs = words.count(len(_members(study)), 'run')
        return [Items(steps, ordered=True), Paragraph(f'{runs}. {finetuning.TOGETHER}')]
    groups = study.run.groups or ()
    programs = words.count(sum(group.traces for group in groups), 'compiled program')
    point = 'point' if any(map(study.search, study.conditions)) else 'learning rate'
    together = (
        f'A run is one option with one {point} and one seed. Runs of equal structure trained '
        f'together: {words.count(len(_members(study)), "run")} in '
        f'{words.count(len(groups), "group")}, with {programs}.'
    )
    return [Items(steps, ordered=True), Paragraph(together)]


def _tune(study: AblationRun) -> str:
    texts = {condition: _tuned(study, condition) for condition in study.conditions}
    if not any(texts.values()):
        return ''
    tuned = _join_conditions({condition: text or 'no tuning' for condition, text in texts.items()})
    epoch = study.varying('epochs')
    if any(map(study.search, study.conditions)):
        return (
            f'Tune. {tuned}. Each option takes, of its {_finalists(study)} best points, that with '
            f'the best mean validation {study.scale.name} at epoch {epoch} over the further seeds.'
        )
    return (
        f'Tune. {tuned}. Each option takes the learning rate with the best mean validation '
        f'{study.scale.name} at epoch {epoch}.'
    )


def _tuned(study: AblationRun, condition: str) -> str:
    members, design = len(_members(study, condition, 'tune')), study.design(condition)
    if not members:
        return ''
    if study.search(condition):
        return _searched(study, condition, members)
    options, rates, seeds = (
        len(study.options),
        len(design['learning_rates']),
        design['tuning_seeds'],
    )
    planned = options * rates * seeds
    more = (
        f', and {members - planned} more after the grid was extended' if members > planned else ''
    )
    factors = (
        words.count(options, 'option'),
        words.count(rates, 'learning rate'),
        words.count(seeds, 'tuning seed'),
    )
    return f'{words.product(*factors)}: {words.count(planned, "run")}{more}'


def _searched(study: AblationRun, condition: str, members: int) -> str:
    searched = queries.searches(study, condition)[study.baseline]
    factors = (
        words.count(len(study.options), 'option'),
        words.count(searched.trials, 'point'),
        words.count(study.design(condition)['tuning_seeds'], 'tuning seed'),
    )
    best = min(protocol.FINALISTS, searched.trials)
    further = (
        words.count(len(study.options), 'option'),
        words.count(best, 'best point'),
        words.count(protocol.FURTHER_SEEDS, 'further tuning seed'),
    )
    return (
        f'{words.product(*factors)}, then {words.product(*further)}: {words.count(members, "run")}'
    )


def _measure(study: AblationRun) -> str:
    texts = {condition: _measured(study, condition) for condition in study.conditions}
    shared = 'initial weights (if names and shapes agree), data order and noise'
    if study.base:
        shared = finetuning.SHARED
    offset = [
        option for option in study.options if study.config['options'][option].get('seed_offset')
    ]
    exception = (
        f' Exception: the seeds of {words.listing(map(markup.name, offset))} are shifted.'
        if offset
        else ''
    )
    return (
        f'Measure. {_join_conditions(texts)}. {_not_tuned(study)} '
        f'Runs of equal seeds share {shared}, so differences are paired.{exception}'
    )


def _not_tuned(study: AblationRun) -> str:
    return finetuning.FIXED if study.base else 'No evaluation seed is a tuning seed.'


def _finalists(study: AblationRun) -> int:
    """Most points of an option that run on the further seeds."""
    return min(protocol.FINALISTS, study.config['trials'])


def _measured(study: AblationRun, condition: str) -> str:
    members = _members(study, condition, 'measure')
    seeds = sorted({seed for *_, seed in members})
    options, evaluation = (
        words.count(len(study.options), 'option'),
        words.count(len(seeds), 'evaluation seed'),
    )
    factors = words.product(options, evaluation)
    return f'{factors} ({protocol.seed_words(seeds)}): {words.count(len(members), "run")}'


def _compare(study: AblationRun) -> str:
    name = study.scale.name
    measured = (
        f'of {finetuning.evaluated(study)}'
        if study.base
        else f'after epoch {study.varying("epochs")}, the last epoch'
    )
    return (
        f'Compare. {name[0].upper()}{name[1:]} on the test split {measured}. '
        'The test split was not used for any choice. '
        'Paired t test against the baseline, Holm over all comparisons.'
    )


def _join_conditions(texts: Mapping[str, str]) -> str:
    """The texts of all conditions; one text if they are equal."""
    if len(set(texts.values())) > 1:
        return '; '.join(
            f'{words.condition(condition)}: {text}' for condition, text in texts.items()
        )
    repeated = f', under each of {words.count(len(texts), "condition")}' if len(texts) > 1 else ''
    return f'{next(iter(texts.values()))}{repeated}'


def _members(study: AblationRun, *within: str) -> set[protocol.Member]:
    """Every member, or those within a condition and phase."""
    members = {protocol.member_of(row) for row in study.table}
    return {member for member in members if member[: len(within)] == within}
