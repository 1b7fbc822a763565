"""Settings of a fine-tuning that differ from the defaults, and ablations that varied them."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxdl.report.finetune.reading import FineTuneRun
from jaxdl.report.page import markup, plots, scale, words
from jaxdl.report.page.blocks import Block, Paragraph, Table
from jaxdl.report.page.blocks import Figure as FigureBlock
from jaxdl.report.page.scale import Scale
from jaxdl.statistics import metrics
from jaxdl.statistics.metrics import ACCURACY

NO_EVIDENCE = 'no evidence'
DRAWN = 20  # maximum rows of the figure
OF_TRAINING = ('finetune.', 'variant.')  # settings without effect on a probe
OF_PROBE = ('finetune.metric',)  # except these
NOTE = (
    'Settings that differ from the defaults, and settings that an ablation varied. Evidence is the '
    'verdict of an ablation on an option that differs from its baseline in the setting, where one '
    f'of both has the value of this run. Differences: option {words.MINUS} baseline, test split, '
    f'95{words.SPACE}% intervals over seeds. Ablations of small networks or of other images are '
    'weak evidence for these images.'
)


def blocks(fitted: FineTuneRun, name: str) -> list[Block]:
    """Settings in a table with their evidence, and the measured differences as a figure."""
    tested = {str(entry['field']) for entry in fitted.evidence}
    values = {field: value for field, value in _settings(fitted).items() if _used(fitted, field)}
    defaults = fitted.plan.defaults
    rows, count = [], 0
    for field, value in values.items():
        changed = value != defaults.get(field)
        if changed or field in tested:
            entries = [entry for entry in fitted.evidence if entry['field'] == field]
            count += changed
            default = _write(defaults[field]) if field in defaults else words.DASH
            rows.append([markup.code(field), _write(value), default, _results(entries)])
    with_evidence = [row for row in rows if row[3] != NO_EVIDENCE]
    verb = 'differ' if count != 1 else 'differs'
    evidence = (
        f'Ablations varied {len(with_evidence)}.'
        if with_evidence
        else 'No ablation varied any of them.'
    )
    summary = f'{words.count(count, "setting")} {verb} from the defaults. {evidence}'
    if not rows:
        return [Paragraph(summary)]
    more = [] if with_evidence else [Paragraph(_advice())]
    table = Table(
        'Settings and evidence', ('Setting', 'Value', 'Default', 'Evidence'), rows, 'lwww'
    )
    drawn = [entry for entry in fitted.evidence if _is_drawn(entry) and entry['field'] in values]
    figure = [_figure(drawn, name)] if drawn else []
    return [Paragraph(summary), *more, table, *figure, Paragraph(NOTE, 'note')]


def _advice() -> str:
    command = markup.code('--experiment=finetune_recipe')
    return (
        f'Ablations of a fine-tuning test settings on these images: {command} with a workdir next '
        'to this one, or any ablation named by '
        f'{markup.code("--set=evidence=[" + chr(34) + "runs/NAME" + chr(34) + "]")}.'
    )


def _settings(fitted: FineTuneRun) -> dict[str, Any]:
    """All settings of the run that have a default, by their dotted names."""
    return {name: fitted.setting(name) for name in fitted.plan.defaults}


def _used(fitted: FineTuneRun, field: str) -> bool:
    """Whether a setting has an effect on the result of this run."""
    trained = 'finetune' in fitted.config['stages']
    return trained or not field.startswith(OF_TRAINING) or field in OF_PROBE


def _write(value: Any) -> str:
    if isinstance(value, list | tuple):
        return words.listing(map(_write, value)) if value else 'none'
    return markup.flat(words.local(str(value)))


def _results(evidence: list[dict[str, Any]]) -> str:
    return '; '.join(map(_result, evidence)) or NO_EVIDENCE


def _result(entry: Mapping[str, Any]) -> str:
    """Verdict, difference and source of one option."""
    facts = [markup.code(words.local(str(entry['file'])))] if entry.get('file') else []
    facts += [markup.flat(words.local(str(entry['dataset'])))] if entry.get('dataset') else []
    facts += [markup.flat(str(entry['condition']))] if entry.get('condition') else []
    facts += [] if entry.get('finetuning') else ['a small network']
    others = [markup.flat(str(other).rpartition('.')[2]) for other in entry.get('others', ())]
    facts += [f'together with {words.listing(others)}'] if others else []
    return (
        f'{markup.name(entry["option"])} against {markup.name(entry["baseline"])}: '
        f'{markup.flat(entry["verdict"])}, {_difference(entry)} ({", ".join(facts)})'
    )


def _difference(entry: Mapping[str, Any]) -> str:
    """A difference with its interval and its unit."""
    unit = _unit(entry)
    if entry['difference'] is None:
        return words.DASH
    text = f'{unit.points(entry["difference"])} ({unit.span(entry["low"], entry["high"])})'
    return unit.in_points(text) if unit.metric is ACCURACY else f'{text} {unit.name}'


def _unit(entry: Mapping[str, Any]) -> Scale:
    return Scale(metrics.named(str(entry.get('metric') or ACCURACY.name)))


def _is_drawn(entry: Mapping[str, Any]) -> bool:
    return entry['difference'] is not None and _unit(entry).metric is ACCURACY


def _figure(entries: list[dict[str, Any]], name: str) -> FigureBlock:
    """Differences in test accuracy, one row per comparison."""
    unique = {(str(e.get('file')), str(e['option']), str(e.get('condition'))): e for e in entries}
    drawn = list(unique.values())[:DRAWN]

    def plot(width: float) -> Figure:
        wide = width == plots.WIDE
        figure = Figure(
            figsize=(width, (0.42 if wide else 0.55) * len(drawn) + 0.9), layout='constrained'
        )
        axes = figure.subplots()
        for y, entry in enumerate(drawn):
            _draw_difference(axes, y, entry, numbers=wide)
        axes.axvline(0, color=plots.INK, linewidth=1)
        axes.grid(axis='y', visible=False)
        letters = 40 if wide else 18
        labels = [plots.wrap(f'{e["option"]} against {e["baseline"]}', letters) for e in drawn]
        axes.set_yticks(range(len(drawn)), labels)
        axes.set_ylim(len(drawn) - 0.45, -0.55)
        axes.tick_params(axis='y', length=0)
        axes.set_xlabel(f'difference{" in test accuracy" if wide else ""}, percentage points')
        return figure

    differences = (
        f'{e["option"]} against {e["baseline"]} {_numbers(e)}, {e["verdict"]}' for e in drawn
    )
    alt = (
        'Differences in test accuracy in percentage points with 95 % intervals: '
        f'{markup.flat("; ".join(differences))}.'
    )
    caption = (
        'Difference in test accuracy of an option from its baseline, percentage points: mean and '
        f'95{words.SPACE}% interval over seeds.'
    )
    return FigureBlock(name, plots.draw(plot), alt, caption)


def _numbers(entry: Mapping[str, Any]) -> str:
    unit = scale.DEFAULT
    return f'{unit.points(entry["difference"])} ({unit.span(entry["low"], entry["high"])})'


def _draw_difference(axes: Axes, y: int, entry: Mapping[str, Any], numbers: bool) -> None:
    if entry['low'] is not None and entry['high'] is not None:
        ends = [100 * entry['low'], 100 * entry['high']]
        axes.plot(ends, [y, y], color=plots.BLUE, linewidth=2.4, solid_capstyle='butt')
    axes.plot(100 * entry['difference'], y, 'D', color=plots.BLUE, markersize=7)
    if numbers:
        text = f'{_numbers(entry)}, {markup.flat(entry["verdict"])}'
        axes.text(1.02, y, text, transform=axes.get_yaxis_transform(), va='center')
