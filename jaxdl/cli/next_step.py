"""One command worth trying once a run has ended, chosen by what it found."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jaxdl import statistics
from jaxdl.cli import seed_budget as seeded
from jaxdl.report.ablation import queries, verdicts
from jaxdl.workdir.tables import Results

ANEW = ('quick', 'workdir', 'overwrite')  # flags that the command to try next does not share
NEXT = dict(  # experiment -> what takes its question further
    backprop='vanishing_gradients',
    vanishing_gradients='activations',
    activations='hidden_activation',
    symmetry='init',
    conv_arithmetic='fc_as_conv',
    fc_as_conv='global_pooling',
    residual='depth',
    triplet='pooling',
    pooling='global_pooling',
    global_pooling='final_activation',
    hidden_activation='init',
    init='batch_norm',
    depth='residual',
    batch_norm='depth',
    optimizer='schedule',
    schedule='batch_size',
    batch_size='optimizer',
    augmentation='dropout',
    dropout='augmentation',
    final_activation='hidden_activation',
)
Advice = tuple[list[str], str]  # the words of a command after the program's name, and why


def after(found: Results, config: Mapping[str, Any], arguments: Sequence[str]) -> Advice | None:
    """One command worth trying, and why; None where nothing suggests itself.

    `config`: the fields of the experiment; `arguments`: the command line that ran it.
    """
    words, beside = (
        [word for word in joined(arguments) if _flag(word) not in ANEW],
        f'--workdir={found.workdir}',
    )
    if config.get('scale') == 'quick':
        return [*words, f'{beside}-full'], 'this run was shrunk, and is no evidence'
    if config['kind'] == 'FineTune':
        predict = [
            '--mode=predict',
            f'--checkpoint={found.workdir}',
            '--images=DIR',
            '--output=predictions.csv',
        ]
        return predict, 'the classes of new images'
    if config['kind'] == 'Ablation' and (told := next(_of_ablation(found, config), None)):
        changes, name, why = told
        kept = [word for word in words if not any(_same(word, change) for change in changes)]
        return [*kept, *changes, f'{beside}-{name}'], why
    further = NEXT.get(config['name'])
    return ([f'--experiment={further}'], 'takes the question further') if further else None


def _of_ablation(found: Results, config: Mapping[str, Any]) -> Iterator[tuple[list[str], str, str]]:
    """What to change, a name for the workdir, and why; what matters most first."""
    lost = [member for member in queries.diverged(found.table) if member.phase == 'measure']
    if lost:
        grid = _listed(rate / 10 for rate in config['learning_rates'])
        why = f'{lost[0].option} diverged at its rate {lost[0].learning_rate:g}'
        yield [f'--set=learning_rates={grid}'], 'rates', why
    for option, grid in _edges(found, config):
        yield (
            [f'--set=learning_rates={grid}'],
            'rates',
            f'the best rate of {option} is the last that was tried',
        )
    margin, unsure = (
        config['margin'],
        [row for row in found.summary if row['verdict'] == verdicts.NONE],
    )
    row, splits = (
        max(unsure, key=lambda own: own['detectable'], default=None),
        config['data']['resample_split'],
    )
    if (
        row and row['detectable'] > margin and not splits
    ):  # of several splits the spread does not shrink to nothing
        spread = seeded.spread(found.table, row['baseline'], row['condition'])[row['option']][0]
        seeds = statistics.seeds_needed(spread, margin)
        why = f'{row["seeds"]} seeds find {100 * row["detectable"]:.2f} points at least for {row["option"]}'
        yield [f'--seeds={seeds}'], f'{seeds}-seeds', f'{why}; these find {100 * margin:g}'
    if not splits:
        yield ['--set=resample_split=true'], 'splits', 'do the verdicts hold for other splits, too?'


def _edges(found: Results, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Options whose chosen rate is the last that was tried on one side.

    Each with a grid that goes further.
    """
    for row in found.summary:
        own = {
            r['learning_rate']
            for r in found.table
            if r['phase'] == 'tune' and r['option'] == row['option']
        }
        if len(own) > 1 and row['learning_rate'] in (min(own), max(own)):
            changed = {
                key.removeprefix('variant.'): value
                for key, value in config['options'][row['option']].items()
            }
            scale = (config['variant'] | changed).get('learning_rate_scale', 1.0)
            low, high = min(own) / scale, max(own) / scale
            further = [low / 10, low] if row['learning_rate'] == min(own) else [high, high * 10]
            yield row['option'], _listed({*config['learning_rates'], *further})


def _listed(rates: Any) -> str:
    return '[' + ','.join(f'{rate:.3g}' for rate in sorted(rates)) + ']'


def joined(arguments: Sequence[str]) -> list[str]:
    """A word for each flag: `--seeds 10` is `--seeds=10`."""
    words: list[str] = []
    for own in arguments:
        if words and not own.startswith('-') and '=' not in words[-1]:
            words[-1] += f'={own}'
        else:
            words.append(own)
    return words


def _flag(word: str) -> str:
    return word.lstrip('-').partition('=')[0]


def _same(word: str, other: str) -> bool:
    """Whether two words set the same field."""
    return _field(word) == _field(other)


def _field(word: str) -> str:
    name, _, value = word.lstrip('-').partition('=')
    return value.partition('=')[0] if name == 'set' else name
