"""Methods of an ablation: a paragraph for a paper, its references, and the options."""

from collections.abc import Callable
from typing import Any

from jaxdl import statistics
from jaxdl.report.ablation import extensions, finetuning, queries, settings_text
from jaxdl.report.ablation.study import AblationRun, Study
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Items, Paragraph, Table
from jaxdl.statistics import protocol
from jaxdl.statistics.metrics import SPLIT

REFERENCES = {
    'Bouthillier et al. 2021': 'Bouthillier, X. et al. (2021). Accounting for variance in machine '
    'learning benchmarks. Proceedings of Machine Learning and Systems 3.',
    'Godbole et al. 2023': 'Godbole, V., Dahl, G. E., Gilmer, J., Shallue, C. J. and Nado, Z. '
    '(2023). Deep Learning Tuning Playbook, version 1.0. '
    'github.com/google-research/tuning_playbook.',
    'Holm 1979': 'Holm, S. (1979). A simple sequentially rejective multiple test procedure. '
    'Scandinavian Journal of Statistics 6, 65-70.',
    'Jamieson and Talwalkar 2016': 'Jamieson, K. and Talwalkar, A. (2016). Non-stochastic best arm '
    'identification and hyperparameter optimization. AISTATS.',
    'Nadeau and Bengio 2003': 'Nadeau, C. and Bengio, Y. (2003). Inference for the generalization '
    'error. Machine Learning 52, 239-281.',
    'Owen 1998': 'Owen, A. B. (1998). Scrambling Sobol and Niederreiter-Xing points. Journal of '
    'Complexity 14, 466-489.',
    'Satterthwaite 1946': 'Satterthwaite, F. E. (1946). An approximate distribution of estimates '
    'of variance components. Biometrics Bulletin 2, 110-114.',
    'Schuirmann 1987': 'Schuirmann, D. J. (1987). A comparison of the two one-sided tests '
    'procedure and the power approach for assessing the equivalence of average bioavailability. '
    'Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680.',
    'Student 1908': 'Student (1908). The probable error of a mean. Biometrika 6, 1-25.',
    'Welch 1947': "Welch, B. L. (1947). The generalization of 'Student's' problem when several "
    'different population variances are involved. Biometrika 34, 28-35.',
}
OTHER_SEEDS = "; options with other seeds than the baseline by Welch's t test (Welch 1947)."
SOFTWARE = ('jaxdl', 'jax', 'flax', 'optax', 'numpy', 'scipy')
FIXED = 'as the source fixes'  # of a split that is not drawn


def blocks(study: AblationRun) -> list[Block]:
    """The paragraph, the references that it cites, and options and conditions as tables."""
    return [
        *cite(paragraph(study)),
        _options(study),
        *_conditions(study),
        Paragraph(f'All settings are in {markup.code("config.json")} of the workdir.', 'note'),
    ]


def cite(text: str) -> list[Block]:
    """A paragraph, and the references that it cites."""
    cited = [reference for key, reference in REFERENCES.items() if key in text]
    return [Paragraph(text), *([Items(cited)] if cited else [])]


def paragraph(study: AblationRun) -> str:
    """Data, network, training, tuning, seeds, tests and software of the study, in sentences."""
    parts = [
        design(study),
        _by_condition(study, _data),
        _by_condition(study, _network),
        _by_condition(study, _parameters),
        _by_condition(study, _training),
        _by_condition(study, _tuning),
        _seeds(study),
        extensions.sentence(study),
        *([*tests(study), _equivalence(study)] if len(study.options) > 1 else []),
        *_diverged(study),
        _software(study),
    ]
    return ' '.join(part for part in parts if part)


def _by_condition(study: AblationRun, describe: Callable[[AblationRun, str], str]) -> str:
    """The text of all conditions; one text if they are equal."""
    texts = {condition: describe(study, condition) for condition in study.conditions}
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return ' '.join(f'Condition {_condition(c)}: {text}' for c, text in texts.items())


def _condition(condition: str) -> str:
    return markup.plain(words.condition(condition))


def design(study: Study) -> str:
    """Options, baseline and conditions in sentences."""
    factor, names = markup.flat(study.config['factor']), [markup.flat(o) for o in study.options]
    of = f' of {factor}' if factor else ''
    if len(names) == 1:
        return f'We measured one option{of}, {names[0]}.'
    others = '; '.join(names[1:]) if ',' in ''.join(names) else words.listing(names[1:])
    text = (
        f'We compared {words.count(len(names) - 1, "option")}{of} '
        f'({others}) with the baseline {names[0]}.'
    )
    if not study.repeated:
        return text
    conditions = words.listing(map(_condition, study.conditions))
    number = words.count(len(study.conditions), 'condition')
    return f'{text} The comparison was repeated under {number}: {conditions}.'


def _data(study: AblationRun, condition: str) -> str:
    data, design = study.data[condition], study.design(condition)['data']
    shape = words.product(*data.image_shape).replace(' ', words.SPACE)
    drawn = data.findings.get('split') or ''
    text = (
        f'The data set was {markup.flat(words.local(data.name))}, with '
        f'{words.count(len(data.classes), "class")} and inputs of size {shape}. We used '
        f'{data.train:,} images for training, {data.val:,} for validation and {data.test:,} for '
        'test'
    )
    if design.get('resample_split'):
        text += '; each seed drew its own split.'
    elif FIXED in drawn:
        text += ', split as the source fixes.'
    elif drawn:
        equal = ' with equal class shares' if design['split'] == 'stratified' else ''
        text += f', split {markup.flat(drawn)}{equal}.'
    else:
        text += '.'
    row = queries.compared(study, condition)[0]
    groups, images = row.get('image_groups'), row.get('images')
    if groups and images and groups < images and not design.get('resample_split'):
        text += f' The test images form {groups:,} groups.'
    different = settings_text.non_default(
        design, _defaults(study, 'data'), (*settings_text.SOURCE, 'split', 'resample_split')
    )
    return f'{text} Settings of the data: {words.listing(different)}.' if different else text


def _network(study: AblationRun, condition: str) -> str:
    if study.base:
        return finetuning.network(study, condition)
    variant = study.design(condition)['variant']
    network, _ = settings_text.network(variant, study.varied, study.plan.networks or {})
    return f'The network was {network}.'


def _parameters(study: AblationRun, condition: str) -> str:
    costs = [study.costs.get((condition, option), {}) for option in study.options]
    counts = [cost['parameters'] for cost in costs if cost.get('parameters') is not None]
    if not counts:
        return ''
    size = ' to '.join(dict.fromkeys(words.exactly(end(counts)) for end in (min, max)))
    if study.base:
        return f'The options train {size} parameters, the head among them.'
    return f'The network has {size} parameters.'


def _training(study: AblationRun, condition: str) -> str:
    """Optimizer, loss and epochs, and other settings that differ from the defaults."""
    if study.base:
        return finetuning.training(study, condition)
    variant, epochs = study.design(condition)['variant'], study.design(condition)['epochs']
    _, in_network = settings_text.network(variant, study.varied, study.plan.networks or {})
    training, in_training = settings_text.training(variant, study.varied)
    text = f'Each network was trained for {epochs} epochs with {training}.'
    defaults = _defaults(study, 'variant')
    if not defaults:
        return text
    excluded = {*in_network, *in_training, *study.varied, 'learning_rate'}
    different = settings_text.non_default(variant, defaults, excluded)
    if different:
        return f'{text} Other settings that differ from the defaults: {words.listing(different)}.'
    return f'{text} All other settings had the defaults of jaxdl.'


def _defaults(study: AblationRun, part: str) -> dict[str, Any]:
    """Default values of `variant` or `data`; empty if the run did not record them."""
    return (study.plan.defaults or {}).get(part, {})


def _tuning(study: AblationRun, condition: str) -> str:
    if study.base:
        return finetuning.FIXED
    design = study.design(condition)
    if study.search(condition):
        return _search(study, condition)
    tunings = [queries.tuning(study, condition, option) for option in study.options]
    if not any(tunings):
        rates = dict.fromkeys(
            f'{row["learning_rate"]:g}' for row in queries.compared(study, condition)
        )
        if len(rates) == 1:
            return f'The learning rate was {next(iter(rates))} and was not tuned.'
        return f'The learning rates ({", ".join(rates)}) were set per option and not tuned.'
    text = (
        'The learning rate of each option was selected from '
        f'{", ".join(f"{rate:g}" for rate in design["learning_rates"])} by the mean validation '
        f'{study.scale.name} after the last epoch over '
        f'{words.count(design["tuning_seeds"], "tuning seed")}.'
    )
    if any(tuning.added for tuning in tunings if tuning):
        text += ' A grid whose best learning rate was at an edge was extended beyond this edge.'
    return text


def _search(study: AblationRun, condition: str) -> str:
    design, searched = study.design(condition), queries.searches(study, condition)
    ranges = words.listing(
        f'{words.field(name)} from {words.decimal(low)} to {words.decimal(high)} on a {scale} scale'
        for name, (scale, low, high) in design['search'].items()
    )
    fields = words.listing(map(words.field, design['search']))
    first, trials = searched[study.baseline], searched[study.baseline].trials
    seeds = words.count(design['tuning_seeds'], 'tuning seed')
    text = (
        f'The hyperparameters of each option ({fields}) were searched with an equal budget: '
        f'{words.count(trials, "point")} of a scrambled Sobol sequence (Owen 1998), the same unit '
        f'points for every option, over {ranges}, with {seeds} per point. '
    )
    if len(first.rounds) > 1:
        text += (
            'Since the best point of an option lay at a boundary of its range, this range was '
            f'extended, and {words.count(trials - len(first.rounds[0].settings), "point")} of each '
            'option are further points. '
        )
    plan = study.search(condition)
    for option, searched_fields in (plan.ranges if plan else {}).items():
        fixed = [words.field(name) for name in design['search'] if name not in searched_fields]
        if fixed:
            verb = 'was' if len(fixed) == 1 else 'were'
            text += f'For {markup.name(option)}, {words.listing(fixed)} {verb} not searched. '
    if plan and plan.halving and len(plan.rungs) > 1:
        ends = words.listing(f'epoch {end}' for end in plan.rungs[:-1])
        text += (
            f'After {ends}, one of {plan.halving} points of each option continued '
            '(successive halving, Jamieson and Talwalkar 2016). '
        )
    best = min(protocol.FINALISTS, trials)
    return text + (
        f'The {best} points with the best validation {study.scale.name} after the last epoch were '
        f'repeated with {protocol.FURTHER_SEEDS} further tuning seeds, whose mean alone selected '
        'the point. This follows the Deep Learning Tuning Playbook (Godbole et al. 2023).'
    )


def _seeds(study: AblationRun) -> str:
    if study.base:
        return (
            f'Each option was trained with {study.varying("seeds")} evaluation seeds, and '
            f'{finetuning.evaluated(study)} was evaluated on the test split. Equal seeds share '
            f'{finetuning.SHARED}, so differences are paired.'
        )
    tuned = any(row['phase'] == 'tune' for row in study.table)
    fresh = ', none of them a tuning seed,' if tuned else ''
    return (
        f'Each option was {"then " if tuned else ""}trained with {study.seed_counts} '
        f'evaluation seeds{fresh} and evaluated on the test split after the last epoch. Equal '
        'seeds share initial weights where names and shapes agree, the order of the data and '
        f'noise, so differences are paired.{_initial_weights(study)}'
    )


def _initial_weights(study: AblationRun) -> str:
    files = study.plan.initial_weights or {}
    if not files:
        return ''
    names = words.listing(
        f'{markup.code(source)} (SHA-256 {checksum[:12]})' for source, checksum in files.items()
    )
    return (
        f' Networks with {markup.code("init_from")} begin with the weights of {names}, which are '
        'equal for all seeds: intervals cover no other initial weights of these networks.'
    )


def tests(study: Study) -> list[str]:
    """Tests and corrections, with citations."""
    unpaired = [row for row in study.summary if not row.get('paired', True)]
    every = len(unpaired) == sum(row['option'] != row['baseline'] for row in study.summary)
    resampled = [condition for condition in study.conditions if study.test_train_ratio(condition)]
    test = "Welch's t test (Welch 1947)" if every else 'paired t test (Student 1908)'
    sentences = [
        f'Mean differences in {study.scale.compared} were tested over seeds by the two-sided {test}'
        f'{OTHER_SEEDS if unpaired and not every else "."}'
    ]
    if resampled:
        sentences.append(
            'Where each seed drew its own split, the variance was corrected for overlapping '
            'training sets (Nadeau and Bengio 2003).'
        )
    fixed = [condition for condition in study.conditions if condition not in resampled]
    if any(_over_images(study, condition) for condition in fixed):
        jackknife = (
            f' The {study.scale.name} of the images is that of a jackknife over groups.'
            if study.metric.over == SPLIT
            else ''
        )
        sentences.append(
            'They were also tested for new seeds and new test images. Seeds and groups of images '
            "are crossed random effects there, with Satterthwaite's degrees of freedom "
            f'(Satterthwaite 1946).{jackknife}'
        )
    comparisons = words.count(study.comparisons, 'comparison')
    wins = 'pairs of runs in' if every else 'seeds on'
    mixed = '; of unpaired seeds the share of all pairs of runs' if unpaired and not every else ''
    sentences.append(
        f"At each level p-values were adjusted by Holm's correction for {comparisons} (Holm 1979). "
        f'An option is called better or worse if the adjusted p is below {statistics.ALPHA:g}. '
        f'Intervals have 95{words.SPACE}% confidence. The probability of improvement is the share '
        f'of {wins} which an option wins{mixed} (Bouthillier et al. 2021).'
    )
    return sentences


def _over_images(study: Study, condition: str) -> bool:
    rows = queries.options_compared(study, condition)
    return any(row['verdict_images'] is not None for row in rows)


def _equivalence(study: AblationRun) -> str:
    margins = {condition: study.margin(condition) for condition in study.conditions}
    texts = dict.fromkeys(
        study.scale.size(margin) for margin in margins.values() if margin is not None
    )
    if not texts:
        return ''
    chosen = any(study.design(condition)['margin'] is None for condition in study.conditions)
    source = (
        f", {100 * protocol.MARGIN:.0f}{words.SPACE}% of the baseline's {study.validation_error} "
        'in tuning'
        if chosen
        else ''
    )
    return (
        'Equivalence to the baseline was tested by two one-sided paired t tests (Schuirmann 1987) '
        f'within a margin of {study.scale.in_points(words.listing(texts))}{source}.'
    )


def _diverged(study: AblationRun) -> list[str]:
    count = sum(member.phase == 'measure' for member in protocol.diverged(study.table))
    if not count:
        return []
    runs = words.count(count, 'evaluation run')
    return [f'{runs} diverged and counted as chance from that epoch on.']


def _software(study: AblationRun) -> str:
    versions = study.plan.versions
    named = [f'{name} {versions[name]}' for name in SOFTWARE if name in versions]
    python = f' and Python {versions["python"]}' if 'python' in versions else ''
    return f'Software: {", ".join(named)}{python}, on {markup.flat(study.run.device)}.'


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
