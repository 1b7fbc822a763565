"""Figures and table of equal units: weights, broken symmetry, growth of distances."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import ticker
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from jaxdl.report.page import plots, words
from jaxdl.report.page.blocks import Figure as FigureBlock
from jaxdl.report.page.blocks import Table
from jaxdl.theory.symmetry import networks, separation
from jaxdl.theory.symmetry.formulas import Settings
from jaxdl.theory.symmetry.networks import TrainedByOption
from jaxdl.theory.symmetry.separation import Separation
from jaxdl.train.train_step import TrainState

MAP = LinearSegmentedColormap.from_list(
    'weights', ['#b2401a', '#f4a582', '#ffffff', '#92c5de', '#2166ac']
)
PANELS = {
    'tanh, zeros': 'zeros, tanh',
    'sigmoid, zeros': 'zeros, sigmoid',
    'tanh, ones': 'ones, tanh',
    'tanh, random': 'random, tanh',
}
LINES: Mapping[str, plots.Line] = {
    '1e-2': dict(color=plots.VERMILION, label='noise of 1e-2'),
    '1e-4': dict(color=plots.BLUE, linestyle=(0, (6, 2)), label='noise of 1e-4'),
    '1e-8': dict(color=plots.INK, label='noise of 1e-8'),
    separation.ROUNDING: dict(color=plots.GREY, linestyle=(0, (2, 1.5)), label='rounding alone'),
}
RESOLVED = 1e-17  # smallest difference in float64 of weights of this size
DOTS: plots.Line = dict(color=plots.INK, linestyle='none', marker='o', mfc='white', markersize=5)


def changes(trained: TrainedByOption) -> FigureBlock:
    """Change of the first layer's weights, [input, unit], from four initialisations; first seed."""
    kernels = {
        title: [first_weights(state) for state in (trained[name][0].start, trained[name][0].state)]
        for name, title in PANELS.items()
    }

    def plot(width: float) -> Figure:
        figure, grid = plots.panels(list(kernels), width, 'unit', 'pixel')
        figure.set_size_inches(width, 3.6 if width == plots.WIDE else 6.2)
        for axes, (title, (start, end)) in zip(grid, kernels.items(), strict=True):
            most = float(np.abs(end - start).max())
            limit = most or 1.0
            axes.imshow(
                end - start,
                cmap=MAP,
                vmin=-limit,
                vmax=limit,
                aspect='auto',
                interpolation='nearest',
            )
            axes.set_title(f'{title}\n±{most:.2g}')
            axes.grid(visible=False)
            if not most:
                axes.text(0.5, 0.5, 'no change', ha='center', va='center', transform=axes.transAxes)
            axes.xaxis.set_major_locator(ticker.MaxNLocator(4, integer=True))
        place = 'right' if width == plots.WIDE else 'top'
        bar = figure.colorbar(
            ScalarMappable(Normalize(-1, 1), MAP), ax=grid, location=place, aspect=30
        )
        bar.set_label('change, relative to the largest')
        return figure

    ranges = '; '.join(
        f'{title}: rank of the weights {np.linalg.matrix_rank(end.astype(float))}, change from '
        f'{(end - start).min():.2g} to {(end - start).max():.2g}'
        for title, (start, end) in kernels.items()
    )
    caption = (
        'Change of the weights of the first layer in training; columns: units, rows: pixels. '
        'Titles: initialisation, activation and largest change, which has the strongest colour. '
        'Horizontal stripes: all units change equally.'
    )
    return FigureBlock(
        'changes', plots.draw(plot), f'Change of the first weights in training. {ranges}.', caption
    )


def first_weights(state: TrainState) -> np.ndarray:
    """Kernel of the first layer, [input, unit]."""
    return np.asarray(state.params['layer_0']['dense']['kernel'])


def sources(trained: TrainedByOption, measured: Separation, settings: Settings) -> Table:
    """Number of different units per layer for each source of randomness."""
    rows = [(name, *map(str, networks.counts(trained[name]).max(0))) for name in networks.KNOWN]
    noise = f'noise of {separation.SMALLEST}'
    rows += [
        (
            f'{noise} on the first weights, one hidden layer',
            str(measured.counts[separation.SMALLEST]),
            words.DASH,
        ),
        (
            f'{noise} on every gradient, one hidden layer',
            str(measured.counts[separation.GRADIENTS]),
            words.DASH,
        ),
    ]
    caption = (
        f'Number of different units (in at least one bit) in a layer of {settings.width} after '
        f'training from equal weights: maximum of {settings.seeds} seeds. Dropout is before the '
        'last layer, so it acts on the second hidden layer.'
    )
    return Table(
        caption, ('Source of randomness', 'layer 1', 'layer 2'), rows, 'wrr', name='sources'
    )


def distances(measured: Separation) -> FigureBlock:
    """Largest distance between units against the step, by size of noise, with the prediction."""
    early = measured.predicted[measured.predicted <= 1e-2]
    every = np.arange(0, len(early), 25)

    def plot(width: float) -> Figure:
        figure = Figure(figsize=(width, 3.9), layout='constrained')
        axes = figure.subplots()
        handles = [
            axes.plot(positive(measured.distances[name]), **style)[0]
            for name, style in LINES.items()
        ]
        handles += axes.plot(every, early[every], label='predicted', **DOTS)
        axes.set_yscale('log')
        axes.yaxis.set_major_locator(ticker.LogLocator(100, numticks=12))
        axes.yaxis.set_minor_locator(ticker.NullLocator())
        axes.yaxis.set_major_formatter(
            lambda value, _: f'1e{np.log10(value):.0f}' if value < 1 else f'{value:g}'
        )
        axes.set_ylim(bottom=max(axes.get_ylim()[0], RESOLVED))
        axes.set_xlabel('step')
        axes.set_ylabel('distance between units')
        plots.legend(figure, handles, width)
        return figure

    steps = len(measured.distances['0']) - 1
    growth = '; '.join(
        f'{style["label"]}: {measured.distances[name][steps // 10]:.1e} after {steps // 10} steps, '
        f'{measured.distances[name][-1]:.2g} after {steps:,}'
        for name, style in LINES.items()
    )
    right = words.listing(
        f'{words.percent(measured.accuracy[name])} ({LINES[name]["label"]})' for name in LINES
    )
    caption = (
        'Largest distance of a unit from the first one, one hidden tanh layer. Final training '
        f'accuracy: {right}, and {words.percent(measured.accuracy["0"])} without noise. Without '
        f'noise the largest distance in any step is {measured.distances["0"].max():g} (not drawn, '
        'logarithmic axis). Circles: prediction for the smallest noise by the linearisation at '
        'equal units.'
    )
    return FigureBlock('distances', plots.draw(plot), f'Distance between units. {growth}.', caption)


def positive(values: np.ndarray) -> np.ndarray:
    """Values with gaps in place of those that a logarithmic axis cannot show."""
    return np.where(values > 0, values, np.nan)


def words_of(
    trained: TrainedByOption, measured: Separation, settings: Settings, steps: int
) -> dict[str, str]:
    """Numbers of the text."""
    learned = {
        key: words.percent(float(networks.accuracies(trained[name]).mean()))
        for key, name in dict(
            random='tanh, random',
            ones='tanh, ones',
            equal='tanh, 0.05',
            zeros='tanh, zeros',
            sigmoid='sigmoid, zeros',
        ).items()
    }
    smallest, bound = measured.eigenvalue
    return learned | dict(
        steps=f'{steps:,}',
        small_steps=f'{settings.steps:,}',
        width=str(settings.width),
        seeds=words.count(settings.seeds, 'seed'),
        rate=f'{separation.RATE:g}',
        followed=str(separation.FOLLOWED),
        lone=tex(measured.lone),
        eigenvalue=f'{smallest:.3f}',
        bound=f'{bound:.3f}',
        doubling=doubling(measured),
        separated=words.percent(measured.accuracy[separation.SMALLEST]),
        together=words.percent(measured.accuracy['0']),
        rounding=rounding(measured, settings),
        broken=layers_of_dropout(trained, settings),
    )


def tex(value: float) -> str:
    """Number with one digit, in TeX."""
    digit, exponent = f'{value:.0e}'.split('e')
    return f'{digit} \\times 10^{{{int(exponent)}}}' if value else '0'


def doubling(measured: Separation) -> str:
    """Steps in which the predicted distance doubles, mean between 1e-6 and 1e-4."""
    inside = measured.predicted[(measured.predicted > 1e-6) & (measured.predicted < 1e-4)]
    return f'{(len(inside) - 1) * np.log(2) / np.log(inside[-1] / inside[0]):.0f}'


def layers_of_dropout(trained: TrainedByOption, settings: Settings) -> str:
    """Number of different units per layer after dropout."""
    most: Sequence[int] = networks.counts(trained['dropout']).max(0)
    return f'{most[1]} of {settings.width} units in the second layer, {most[0]} in the first'


def rounding(measured: Separation, settings: Settings) -> str:
    """Sentence on the effect of rounding on equal units on this machine."""
    path, units = measured.distances[separation.ROUNDING], settings.rounding_width
    groups = measured.counts[separation.ROUNDING]
    if groups == 1:
        return (
            f'On this machine a layer of {units} units nevertheless stayed equal to the last bit.'
        )
    first = int(np.flatnonzero(path)[0])
    return (
        f'On this machine this happens in NumPy with {units} units. They first differed in step '
        f'{first}. After {settings.steps:,} steps there were {groups} different units at a '
        f'distance of {path[-1]:.2g}, with a training accuracy of '
        f'{words.percent(measured.accuracy[separation.ROUNDING])}.'
    )
