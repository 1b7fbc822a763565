"""Evidence for each setting of the recipe: its value, and the ablation that tested it."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxdl.report.finetune.reading import FineTuneRun
from jaxdl.report.page import markup, plots, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.report.page.blocks import Figure as FigureBlock

UNTESTED = 'not tested'
MOST, DRAWN = 4, 20  # maximum options per row of the table, and in the figure
SEVERAL = (
    'augmentation',
)  # ablations of several settings: an option is evidence for one setting only
SOURCE = ('experiment', 'dataset', 'condition')
# setting -> its fields, the main field first
DECISIONS = {
    'Initial weights': ('weights', 'revision', 'network'),
    'Architecture and depth': ('architecture', 'model', 'depth'),
    'Initial head': ('finetune.start',),
    'Image size in training': ('finetune.train_size', 'finetune.sizes'),
    'Image size in evaluation': ('finetune.eval_size', 'finetune.fix_epochs'),
    'Optimizer': ('variant.optimizer', 'variant.momentum', 'variant.weight_decay', 'finetune.clip'),
    'Learning rate and schedule': ('variant.learning_rate', 'variant.schedule', 'finetune.epochs'),
    'Trainable layers and their learning rates': (
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
    'Normalisation: statistics in training': ('finetune.norms', 'norm'),
    'EMA of the weights': ('finetune.ema',),
    'Hidden activation': ('activation',),
    'Global pooling': ('global_pooling', 'pooling'),
    'Initialisation': ('init', 'init_scale'),
    'Split of the images': ('data.split', 'data.fractions'),
    'Test-time augmentation': ('finetune.views',),
    'Final training on train + validation': ('finetune.refit_epochs',),
    'Averaged networks': ('finetune.folds', 'finetune.seeds', 'finetune.average'),
}
FIXED = {
    'Hidden activation': 'that of the pretrained network',
    'Global pooling': 'mean over the feature map, that of the pretrained network',
    'Initialisation': 'pretrained weights',
}
OF_TRAINING = ('finetune.', 'variant.')  # fields without effect on a probe
NOTE = (
    'Settings that were not tested are common choices. Tests on small networks or other images are '
    f'weak evidence for these images. Differences: option {words.MINUS} baseline, percentage '
    f'points of test accuracy, 95{words.SPACE}% intervals.'
)


def blocks(fitted: FineTuneRun, name: str) -> list[Block]:
    """All settings in a table, and the measured differences as a figure."""
    rows, tested = [], []
    for decision, fields in DECISIONS.items():
        value = _value(fitted, decision, fields)
        evidence = _evidence(fitted, fields)
        if value or evidence:
            rows.append([decision, value or words.DASH, _results(evidence)])
            tested += [(decision, entry) for entry in evidence]
    count = sum(row[2] != UNTESTED for row in rows)
    tests = f'{count or "none"} {"were" if count > 1 else "was"} tested by an ablation'
    summary = f'Of {words.count(len(rows), "setting")} {tests}.'
    more = [] if fitted.evidence else [Paragraph(_advice())]
    table = Table('Recipe and evidence', ('Setting', 'Value', 'Evidence'), rows, 'lww')
    drawn = (
        [_figure(tested, name)]
        if any(entry['difference'] is not None for _, entry in tested)
        else []
    )
    return [Paragraph(summary), *more, table, *drawn, Paragraph(NOTE, 'note')]


def _advice() -> str:
    setting = markup.code('--set=evidence=["runs/augmentation"]')
    return f'To list verdicts here, name workdirs of ablations: {setting}.'


def _value(fitted: FineTuneRun, decision: str, fields: tuple[str, ...]) -> str:
    """Settings as on the command line; of a probe only those that it uses."""
    if decision in FIXED:
        return FIXED[decision]
    if 'architecture' in fields:
        return markup.flat(fitted.plan.model.architecture)
    trained = 'finetune' in fitted.config['stages']
    used = [field for field in fields if trained or not field.startswith(OF_TRAINING)]
    settings = {
        field.rpartition('.')[2]: fitted.setting(field)
        for field in used
        if _is_shown(fitted.setting(field), field, used)
    }
    return words.settings(settings) if settings else ''


def _is_shown(value: Any, field: str, fields: list[str]) -> bool:
    """Whether a value is not empty, and is the main field or not 0."""
    return value not in (None, '', [], ()) and (field == fields[0] or value != 0)


def _evidence(fitted: FineTuneRun, fields: tuple[str, ...]) -> list[dict[str, Any]]:
    """Evidence on these fields: options named like a field, else like its value, else all."""
    names = {field.rpartition('.')[2] for field in fields}
    entries = [
        entry for entry in fitted.evidence if str(entry['field']).rpartition('.')[2] in names
    ]
    values = {str(fitted.setting(field)) for field in fields}
    for wanted in (names, values):
        matching = [entry for entry in entries if str(entry['option']) in wanted]
        if matching or any(entry.get('experiment') in SEVERAL for entry in entries):
            return matching
    return entries


def _results(evidence: list[dict[str, Any]]) -> str:
    if not evidence:
        return UNTESTED
    more = f'; and {len(evidence) - MOST} more' if len(evidence) > MOST else ''
    return '; '.join(map(_result, evidence[:MOST])) + more


def _result(entry: Mapping[str, Any]) -> str:
    source = ', '.join(
        markup.flat(words.local(str(entry[key]))) for key in SOURCE if entry.get(key)
    )
    return (
        f'{markup.name(entry["option"])} against {markup.name(entry["baseline"])}: '
        f'{markup.flat(entry["verdict"])}, {_numbers(entry)}{f" ({source})" if source else ""}'
    )


def _numbers(entry: Mapping[str, Any]) -> str:
    if entry['difference'] is None:
        return words.DASH
    return f'{words.points(entry["difference"])} ({words.span(entry["low"], entry["high"])})'


def _figure(tested: list[tuple[str, dict[str, Any]]], name: str) -> FigureBlock:
    measured = [(decision, entry) for decision, entry in tested if entry['difference'] is not None]
    pairs = [
        pair
        for i, pair in enumerate(measured)
        if pair[1] not in [entry for _, entry in measured[:i]]
    ][:DRAWN]

    def plot(width: float) -> Figure:
        wide = width == plots.WIDE
        drawn = Figure(
            figsize=(width, (0.42 if wide else 0.55) * len(pairs) + 0.9), layout='constrained'
        )
        axes = drawn.subplots()
        for y, (_, entry) in enumerate(pairs):
            _difference(axes, y, entry, numbers=wide)
        axes.axvline(0, color=plots.INK, linewidth=1)
        axes.grid(axis='y', visible=False)
        letters = 40 if wide else 18
        labels = [plots.wrap(f'{e["option"]} against {e["baseline"]}', letters) for _, e in pairs]
        axes.set_yticks(range(len(pairs)), labels)
        axes.set_ylim(len(pairs) - 0.45, -0.55)
        axes.tick_params(axis='y', length=0)
        axes.set_xlabel(f'difference{" in test accuracy" if wide else ""}, percentage points')
        return drawn

    differences = (
        f'{e["option"]} against {e["baseline"]} {_numbers(e)}, {e["verdict"]}' for _, e in pairs
    )
    alt = (
        'Differences in test accuracy in percentage points with 95 % intervals: '
        f'{markup.flat("; ".join(differences))}.'
    )
    caption = (
        'Difference in test accuracy of an option from its baseline, percentage points: mean and '
        f'95{words.SPACE}% interval.'
    )
    return FigureBlock(name, plots.draw(plot), alt, caption)


def _difference(axes: Axes, y: int, entry: Mapping[str, Any], numbers: bool) -> None:
    if entry['low'] is not None and entry['high'] is not None:
        ends = [100 * entry['low'], 100 * entry['high']]
        axes.plot(ends, [y, y], color=plots.BLUE, linewidth=2.4, solid_capstyle='butt')
    axes.plot(100 * entry['difference'], y, 'D', color=plots.BLUE, markersize=7)
    if numbers:
        text = f'{_numbers(entry)}, {markup.flat(entry["verdict"])}'
        axes.text(1.02, y, text, transform=axes.get_yaxis_transform(), va='center')
