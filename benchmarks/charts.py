"""Charts beside bench.json: cost by number of members, and seconds of a whole study by part."""

import pathlib
from collections.abc import Sequence
from typing import Any

from benchmarks.rows import Row

COLORS = dict(
    ours='#0072b2', func='#d55e00', vmap='#009e73', line='#444444'
)  # told apart by the colour-blind too
STYLES = {  # beginning of the peer's name -> colour, marker, line
    'jaxdl': dict(color=COLORS['ours'], marker='o', linewidth=2.2),
    'torch.func': dict(color=COLORS['func'], marker='s'),
    'naive vmap': dict(color=COLORS['vmap'], marker='^'),
    'torch in': dict(color=COLORS['line'], linestyle='--'),
}
PARTS = {'compile': '#e69f00', 'train': '#0072b2', 'evaluate': '#56b4e9', 'the rest': '#bbbbbb'}
GROWTH, STUDY = 'ensemble members: ', 'ensemble study: '


def draw(rows: Sequence[Row], folder: pathlib.Path) -> None:
    """The charts that the rows are there for."""
    growth = [row for row in rows if row['work'].startswith(GROWTH) and row['ratio']]
    studies = [row for row in rows if row['work'].startswith(STUDY)]
    if growth:
        _save(members(growth), folder / 'bench_members.png')
    if studies:
        _save(study(studies[0]), folder / 'bench_study.png')


def members(rows: Sequence[Row]) -> Any:
    """Milliseconds of a member's step against the members at once, a panel a size."""
    from matplotlib import pyplot as plt

    works = list(dict.fromkeys(row['work'] for row in rows))
    figure, axes = plt.subplots(
        1, len(works), figsize=(5.2 * len(works), 4.4), squeeze=False, layout='constrained'
    )
    for axis, work in zip(axes[0], works, strict=True):
        for name, points in series([row for row in rows if row['work'] == work]).items():
            style = next(style for start, style in STYLES.items() if name.startswith(start))
            axis.plot(
                list(points), [1e3 * seconds for seconds in points.values()], label=name, **style
            )
        _label(axis, work.removeprefix(GROWTH), sorted({row['members'] for row in rows}))
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=2 * len(works), frameon=False)
    return figure


def series(rows: Sequence[Row]) -> dict[str, dict[int, float]]:
    """Series of the chart: name -> members -> seconds.

    PyTorch's better way is a flat line through its median.
    """
    lines = {'jaxdl': {row['members']: row['ours_seconds'] for row in rows}}
    for row in rows:
        lines.setdefault(row['peer'], {})[row['members']] = row['peer_seconds']
    for name, points in lines.items():
        if name.startswith('torch in'):
            middle = sorted(points.values())[len(points) // 2]
            lines[name] = dict.fromkeys(points, middle)
    return lines


def _label(axis: Any, title: str, counts: Sequence[int]) -> None:
    from matplotlib import ticker

    axis.set(
        xscale='log',
        yscale='log',
        title=title,
        xlabel='members trained at once',
        ylabel='ms for one step of one member',
    )
    axis.set_xticks(counts, [str(count) for count in counts])
    axis.xaxis.set_minor_locator(ticker.NullLocator())
    axis.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f'{value:g}'))
    axis.yaxis.set_minor_locator(ticker.NullLocator())
    axis.grid(alpha=0.3)


def study(row: Row) -> Any:
    """Seconds of the whole study, by part, of both sides."""
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(7.5, 2.8), layout='constrained')
    for name, who in {
        'jaxdl': 'ours',
        row['peer'].removeprefix('the same study in '): 'peer',
    }.items():
        left, total = 0.0, row[f'{who}_seconds']
        parts = row[f'{who}_parts']
        for part, seconds in (parts | {'the rest': max(0.0, total - sum(parts.values()))}).items():
            axis.barh(
                name,
                seconds,
                left=left,
                color=PARTS[part],
                label=part if who == 'ours' else None,
                height=0.55,
            )
            left += seconds
        axis.text(left, name, f'  {total:.0f} s', va='center')
    axis.invert_yaxis()
    axis.margins(x=0.12)
    axis.set(
        xlabel='seconds', title=f'{row["work"].removeprefix("ensemble ")}, {row["members"]} models'
    )
    axis.spines[['top', 'right']].set_visible(False)
    figure.legend(loc='outside lower center', ncols=4, frameon=False)
    return figure


def _save(figure: Any, file: pathlib.Path) -> None:
    from matplotlib import pyplot as plt

    figure.savefig(file, dpi=150)
    plt.close(figure)
    print(f'written to {file}')
