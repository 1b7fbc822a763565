"""What each decision of the recipe rests on: its value, and the ablation that tested it.

Or that none did.
"""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxdl.report.finetune.finetuned import Fitted
from jaxdl.report.page import markup, plots, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.report.page.blocks import Figure as FigureBlock

UNTESTED = 'not tested'
MOST, DRAWN = 4, 20  # options that a row of the table names, and that the figure shows
SEVERAL = (
    'augmentation',
)  # ablations of several decisions at once: an option says nothing of the others
SOURCE = ('experiment', 'dataset', 'condition')
# decision -> the fields that hold it. The first word of a value is what a reader looks for, so the
# main field is first.
DECISIONS = {
    'Weights that training starts from': ('weights', 'revision'),
    'Architecture and depth': ('architecture', 'model', 'depth'),
    'Start of the head': ('finetune.start',),
    'Size of the images in training': ('finetune.train_size', 'finetune.sizes'),
    'Size of the images in evaluation': ('finetune.eval_size', 'finetune.fix_epochs'),
    'Optimizer': ('variant.optimizer', 'variant.momentum', 'variant.weight_decay', 'finetune.clip'),
    'Learning rate and schedule': ('variant.learning_rate', 'variant.schedule', 'finetune.epochs'),
    'Which layers learn, and how fast': (
        'finetune.layer_decay',
        'finetune.frozen',
        'finetune.unfreeze_epochs',
    ),
    'Batch size': ('variant.batch_size', 'finetune.accumulation'),
    'Augmentation: random crop': ('finetune.crop_area',),
    'Augmentation: flip': ('variant.flip',),
    'Augmentation: colour': ('variant.colour',),
    'Augmentation: rotation, translation': ('variant.rotation', 'variant.translation'),
    'Augmentation: mixup': ('variant.mixup',),
    'Augmentation: cutmix': ('variant.cutmix',),
    'Augmentation: erasing': ('variant.erasing',),
    'Augmentation: RandAugment': ('variant.randaugment', 'finetune.randaugment'),
    'Dropout': ('variant.dropout',),
    'Label smoothing': ('variant.label_smoothing',),
    'Final activation and loss': ('variant.loss',),
    'Rare classes': ('finetune.imbalance', 'finetune.adjustment'),
    'Norm: statistics in training': ('finetune.norms', 'norm'),
    'Averaged weights (EMA)': ('finetune.ema',),
    'Hidden activation': ('activation',),
    'Global pooling': ('global_pooling', 'pooling'),
    'Initialisation': ('init', 'init_scale'),
    'Split of the images': ('data.split', 'data.fractions'),
    'Views averaged in prediction': ('finetune.views',),
    'Epochs of all images, once judged': ('finetune.refit_epochs',),
    'Networks averaged': ('finetune.folds', 'finetune.seeds', 'finetune.average'),
}
FIXED = {
    'Hidden activation': 'as the weights were trained',
    'Global pooling': 'mean over the map, as the weights were trained',
    'Initialisation': 'the pretrained weights; the head as above',
}
OF_TRAINING = ('finetune.', 'variant.')  # fields that a probe alone does not use
NOTE = (
    'A decision that was not tested is a habit or a guess: what usually works elsewhere. A test on small networks or '
    'other images hints at these, and proves nothing for them. Differences are in percentage points of test accuracy, '
    f'option less baseline, with 95{words.SPACE}% intervals.'
)


def blocks(fitted: Fitted, name: str) -> list[Block]:
    """Every decision in a table, and the differences that were measured as a figure."""
    rows, tested = [], []
    for decision, fields in DECISIONS.items():
        value = _value(fitted, decision, fields)
        found = _evidence(fitted, fields)
        if value or found:
            rows.append([decision, value or words.DASH, _all_told(found)])
            tested += [(decision, entry) for entry in found]
    count = sum(row[2] != UNTESTED for row in rows)
    tests = f'{count or "none"} {"were" if count > 1 else "was"} tested by an ablation'
    said = f'Of {words.count(len(rows), "decision")} {tests}.'
    more = [] if fitted.evidence else [Paragraph(_how())]
    table = Table('The recipe, and what it rests on', ('Decision', 'Value', 'Tested'), rows, 'lww')
    drawn = (
        [_figure(tested, name)]
        if any(entry['difference'] is not None for _, entry in tested)
        else []
    )
    return [Paragraph(said), *more, table, *drawn, Paragraph(NOTE, 'note')]


def _how() -> str:
    setting = markup.code('--set=evidence=["runs/augmentation"]')
    return f'The workdirs of ablations on these images may be named, and their verdicts stand here: {setting}.'


def _value(fitted: Fitted, decision: str, fields: tuple[str, ...]) -> str:
    """The settings as they would be typed; of a probe alone only those that it has used."""
    if decision in FIXED:
        return FIXED[decision]
    if 'architecture' in fields:
        return markup.flat(fitted.plan['model'].get('architecture') or '')
    trained = 'finetune' in fitted.config['stages']
    used = [field for field in fields if trained or not field.startswith(OF_TRAINING)]
    found = {
        field.rpartition('.')[2]: fitted.setting(field)
        for field in used
        if _says(fitted.setting(field), field, used)
    }
    return words.settings(found) if found else ''


def _says(value: Any, field: str, fields: list[str]) -> bool:
    """Whether a value is worth its place: not where it is empty.

    And beside another not where it is switched off.
    """
    return value not in (None, '', [], ()) and (field == fields[0] or value != 0)


def _evidence(fitted: Fitted, fields: tuple[str, ...]) -> list[dict[str, Any]]:
    """What was found on one of these fields: the option of its name, else of its value.

    Else all that were tried.
    """
    names = {field.rpartition('.')[2] for field in fields}
    entries = [
        entry for entry in fitted.evidence if str(entry['field']).rpartition('.')[2] in names
    ]
    values = {str(fitted.setting(field)) for field in fields}
    for wanted in (names, values):
        own = [entry for entry in entries if str(entry['option']) in wanted]
        if own or any(entry.get('experiment') in SEVERAL for entry in entries):
            return own
    return entries


def _all_told(found: list[dict[str, Any]]) -> str:
    if not found:
        return UNTESTED
    more = f'; and {len(found) - MOST} more' if len(found) > MOST else ''
    return '; '.join(map(_told, found[:MOST])) + more


def _told(entry: Mapping[str, Any]) -> str:
    source = ', '.join(
        markup.flat(words.local(str(entry[key]))) for key in SOURCE if entry.get(key)
    )
    return (
        f'{markup.name(entry["option"])} against {markup.name(entry["baseline"])}: {markup.flat(entry["verdict"])}, '
        f'{_numbers(entry)}{f" ({source})" if source else ""}'
    )


def _numbers(entry: Mapping[str, Any]) -> str:
    if entry['difference'] is None:
        return words.DASH
    return f'{words.points(entry["difference"])} ({words.span(entry["low"], entry["high"])})'


def _figure(tested: list[tuple[str, dict[str, Any]]], name: str) -> FigureBlock:
    known = [(decision, entry) for decision, entry in tested if entry['difference'] is not None]
    shown = [
        pair for i, pair in enumerate(known) if pair[1] not in [entry for _, entry in known[:i]]
    ][:DRAWN]

    def plot(width: float) -> Figure:
        wide = width == plots.WIDE
        drawn = Figure(
            figsize=(width, (0.42 if wide else 0.55) * len(shown) + 0.9), layout='constrained'
        )
        axes = drawn.subplots()
        for y, (_, entry) in enumerate(shown):
            _difference(axes, y, entry, numbers=wide)
        axes.axvline(0, color=plots.INK, linewidth=1)
        axes.grid(axis='y', visible=False)
        letters = 40 if wide else 18
        labels = [
            plots.wrapped(f'{e["option"]} against {e["baseline"]}', letters) for _, e in shown
        ]
        axes.set_yticks(range(len(shown)), labels)
        axes.set_ylim(len(shown) - 0.45, -0.55)
        axes.tick_params(axis='y', length=0)
        axes.set_xlabel(f'difference{" in test accuracy" if wide else ""}, percentage points')
        return drawn

    told = (
        f'{e["option"]} against {e["baseline"]} {_numbers(e)}, {e["verdict"]}' for _, e in shown
    )
    alt = f'Differences in test accuracy in percentage points with 95 % intervals: {markup.flat("; ".join(told))}.'
    caption = f'What the ablations measured: mean difference of an option to its baseline, and its 95{words.SPACE}% interval.'
    return FigureBlock(name, plots.draw(plot), alt, caption)


def _difference(axes: Axes, y: int, entry: Mapping[str, Any], numbers: bool) -> None:
    if entry['low'] is not None and entry['high'] is not None:
        ends = [100 * entry['low'], 100 * entry['high']]
        axes.plot(ends, [y, y], color=plots.BLUE, linewidth=2.4, solid_capstyle='butt')
    axes.plot(100 * entry['difference'], y, 'D', color=plots.BLUE, markersize=7)
    if numbers:
        text = f'{_numbers(entry)}, {markup.flat(entry["verdict"])}'
        axes.text(1.02, y, text, transform=axes.get_yaxis_transform(), va='center')
