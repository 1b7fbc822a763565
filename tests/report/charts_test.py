"""Charts of a report: numbers equal to the tables; buttons and readout in a browser."""

import base64
import colorsys
import fractions
import hashlib
import html
import itertools
import json
import math
import pathlib
import re
from collections import Counter

import chromium
import finetune_workdirs
import numpy as np
import pytest
import workdirs
from report_pages import Page as Read

from jaxdl import report
from jaxdl.report.ablation import curves
from jaxdl.report.page import charts, markup, palette, plots
from jaxdl.report.page.blocks import Axis, Chart, Curve, Drawing
from jaxdl.workdir import tables

HOSTILE = '</script><script>document.title=1</script>\u2028<!--&"'
OPTIONS = workdirs.first(3) | {HOSTILE: (0.06, 0.1)}
EPOCHS = 7
COLOURS = palette.PALETTE
WIDTHS = (1280, 390)
at_width = pytest.mark.parametrize('width', WIDTHS)


def browser(test):
    missing = pytest.mark.skipif(not chromium.CHROMIUM, reason='no chromium on this machine')
    return pytest.mark.browser(missing(test))


# Uses a page as its reader does, and tells the page around it. In <head>, so that it hears every
# error.
DRIVER = """
const errors = []
console.error = (...words) => errors.push(words.join(' '))
for (const kind of ['error', 'securitypolicyviolation']) {
  addEventListener(kind, event => errors.push(event.message || event.violatedDirective), true)
}
addEventListener('load', () => {
  const figure = document.querySelector('#learning'), picture = figure.querySelector('picture')
  const canvas = figure.querySelector('.chart-plot svg')
  const buttons = [...figure.querySelectorAll('button')]
  const button = name => buttons.find(each => each.textContent === name)
  const curves = () => figure.querySelectorAll('.chart-curve').length
  const visible = element => element.getClientRects().length > 0
  const box = element => element.getBoundingClientRect()
  const press = (name, shiftKey) => {
    button(name).dispatchEvent(new MouseEvent('click', {shiftKey, bubbles: true}))
    return [curves(), button(name).getAttribute('aria-pressed')]
  }
  const read = () => ({
    head: figure.querySelector('.chart-readout caption').textContent,
    rows: [...figure.querySelectorAll('.chart-readout tr')].map(
      row => [...row.cells].map(cell => cell.innerText.trim())),
    status: figure.querySelector('.chart-status').textContent,
  })
  const point = share => {
    const {left, top, width} = box(canvas)
    const place = {clientX: left + share * width, clientY: top + 90}
    canvas.dispatchEvent(new PointerEvent('pointermove', place))
    return read()
  }
  const key = name => {
    canvas.dispatchEvent(new KeyboardEvent('keydown', {key: name}))
    return read()
  }
  const doubled = name => {
    button(name).dispatchEvent(new MouseEvent('dblclick'))
    return [curves(), read().rows[0][0]]
  }
  const result = {
    start: read(), curves: curves(), off: press('avg'), without: read(), on: press('avg'),
    alone: press('max', true), double: doubled('avg'),
    none: press('none'), all: press('all'), training: press('training'), both: read(),
    again: press('training'),
    left: point(0.01), right: point(0.6), keyed: key('ArrowRight'), end: key('End'),
    beyond: key('ArrowRight'), home: key('Home'),
    panels: (press('panels'), [visible(picture), visible(canvas)]),
    back: (press('one plot'), [visible(picture), visible(canvas)]),
    stray: [...document.querySelectorAll('.chart text')].filter(text => {
      const inner = box(text), outer = box(text.closest('.chart-plot'))
      return inner.left < outer.left || inner.right > outer.right + 0.5
        || inner.bottom > outer.bottom
    }).map(text => text.textContent),
    least: Math.min(
      ...[...document.querySelectorAll('.chart button')].map(each => box(each).height)),
    focusable: canvas.tabIndex, title: document.title,
  }
  const needed = document.documentElement.scrollWidth
  parent.postMessage({width: innerWidth, needed, errors, ...result}, '*')
})
"""


def luminance(color: str) -> float:
    """Relative luminance by WCAG 2."""
    shares = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize(('color', 'page'), [*itertools.product(COLOURS, ('#ffffff', '#15181c'))])
def test_curves_stand_out_from_a_light_and_a_dark_page(color, page):
    low, high = sorted((luminance(color), luminance(page)))
    assert (high + 0.05) / (low + 0.05) >= 3


def test_colours_of_options_differ_and_one_is_blue():
    hues = [colorsys.rgb_to_hsv(*(int(c[i : i + 2], 16) for i in (1, 3, 5)))[0] for c in COLOURS]
    assert len(set(COLOURS)) == len(COLOURS) >= 9  # the largest of the shipped studies
    assert sum(0.5 < hue < 0.7 for hue in hues) == 1


def test_an_option_has_one_colour_in_all_figures(workdir):
    drawn = {path.stem: path.read_text().lower() for path in (workdir / 'figures').glob('*.svg')}
    colours = palette.colours(OPTIONS)
    for name in ('learning', 'learning_rates', 'expected_best', 'differences'):
        present = [colour.lower() for colour in colours.values() if colour.lower() in drawn[name]]
        others = [colour.lower() for colour in COLOURS[len(OPTIONS) :]]
        assert len(present) == len(OPTIONS) - (name == 'differences')  # without the baseline
        assert not [colour for colour in others if colour in drawn[name]]
    for chart in charted(workdir):
        names = list(dict.fromkeys(curve['name'] for curve in chart['curves']))
        assert names == [markup.flat(option) for option in OPTIONS]
        assert chart['colors'][: len(names)] == list(colours.values())


@pytest.mark.parametrize(
    'text', ['</script><script>x</script>', '<!--<script>', 'a & b', '\u2028\u2029', '"\\"', '平']
)
def test_no_name_ends_the_script_it_stands_in(text):
    chart = Chart(
        'epoch', [Axis('error', '%')], [Curve(text, 'validation', [1], [2.0])], interval=''
    )
    written = str(charts.encode(chart))
    assert not re.search('[<>&\u2028\u2029]', written)
    assert json.loads(written)['curves'][0]['name'] == text.strip('\u2028\u2029')


@pytest.mark.parametrize('decimals', [2, 3])
@pytest.mark.parametrize('images', [32, 359, 400, 1078, 50_000])
def test_a_value_is_read_off_as_the_tables_write_it(images, decimals):
    for wrong in range(0, images, max(1, images // 400)):
        value = 100 * (1 - (1 - wrong / images))
        short = charts.readable(value, decimals)
        assert short is not None
        read = math.floor(
            fractions.Fraction(short) * 10**decimals + fractions.Fraction(1, 2)
        )  # JavaScript's toFixed
        assert (
            f'{read // 10**decimals}.{read % 10**decimals:0{decimals}}' == f'{value:.{decimals}f}'
        )
        assert short == pytest.approx(value, abs=0.501 * 10**-decimals)


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
def test_values_that_are_not_finite_have_no_number(value):
    assert charts.readable(value, 2) is None


@pytest.fixture(scope='module')
def workdir(tmp_path_factory) -> pathlib.Path:
    workdir = tmp_path_factory.mktemp('charts') / 'run'
    report.build(
        workdirs.make(
            workdir, options=OPTIONS, seeds=3, epochs=EPOCHS, tuning_seeds=2, rates=(0.03, 0.1, 0.3)
        )
    )
    return workdir


def charted(workdir: pathlib.Path) -> list[dict]:
    source = (workdir / 'report.html').read_text()
    return [json.loads(text) for text in re.findall(r'class="chart-data">(.*?)</script>', source)]


def test_a_chart_holds_the_numbers_of_the_tables(workdir):
    learning, tuning = charted(workdir)
    page = Read((workdir / 'report.html').read_text())
    errors, tuned = page.table('Error at epoch'), page.table('Selected learning rates')
    assert {curve['name'] for curve in learning['curves']} == set(errors) == set(tuned)
    for curve in learning['curves']:
        assert curve['x'] == list(range(1, EPOCHS + 1))
        assert (
            f'{curve["mean"][-1]:.2f}'
            == errors[curve['name']][0 if curve['part'] == 'training' else 1]
        )
        assert all(
            a <= b <= c for a, b, c in zip(curve['low'], curve['mean'], curve['high'], strict=True)
        )
    validation = {c['name']: c['mean'] for c in learning['curves'] if c['part'] == 'validation'}
    for option, error in validation.items():
        reached = [i + 1 for i, e in enumerate(error) if e <= next(iter(validation.values()))[-1]]
        assert errors[option][3] == (str(reached[0]) if reached else '\u2013')
    for curve in tuning['curves']:
        k = curve['x'].index(curve['mark'])
        mean, low, high = (f'{curve[part][k]:.2f}' for part in ('mean', 'low', 'high'))
        assert tuned[curve['name']][1:3] == [f'{curve["mark"]:g}', f'{mean} ({low} to {high})']


def test_markdown_has_no_chart(workdir):
    text = (workdir / 'report.md').read_text()
    assert 'chart' not in text
    assert '"mean":' not in text


@pytest.mark.parametrize('seeds', [1, 3])
def test_one_seed_has_no_interval(seeds, monkeypatch):
    monkeypatch.setattr(
        plots, 'draw', lambda plot: Drawing(b'<svg/>', b'<svg/>', b'', (1, 1), (1, 1))
    )
    accuracy = np.full((seeds, 4), 0.9)  # equal seeds have one, of no width
    chart = curves.figure('learning', {'max': (accuracy, accuracy)}, 'max', Counter(), 100).chart
    assert chart is not None
    assert [len(curve.low) for curve in chart.curves] == [0 if seeds == 1 else 4] * 2
    assert chart.hidden == ()  # of one option both are shown


def test_a_fine_tuning_has_its_three_measures(tmp_path, monkeypatch):
    monkeypatch.setattr(
        plots, 'draw', lambda plot: Drawing(b'<svg/>', b'<svg/>', b'', (1, 1), (1, 1))
    )
    report.build(
        finetune_workdirs.make(tmp_path, classes=('a', 'b', 'c', 'd'), images=20, epochs=4)
    )
    (chart,) = charted(tmp_path)
    assert [axis['name'] for axis in chart['axes']] == ['loss', 'accuracy', 'macro F1']
    recorded = {
        (row['option'], row['epoch'], row['metric'], row['split']): row['value']
        for row in tables.read_table(tmp_path / 'results.csv', tables.RESULTS)
        if row['phase'] == 'finetune'
    }
    tuned = [curve for curve in chart['curves'] if curve['name'] != 'probe']
    assert len(tuned) == 5  # nobody records the macro F1 of training
    for curve in tuned:
        metric = ('loss', 'accuracy', 'macro_f1')[curve['axis']]
        split = dict(training='train', validation='val')[curve['part']]
        values = [
            recorded['finetune', epoch, metric, split] * (1 if metric == 'loss' else 100)
            for epoch in curve['x']
        ]
        assert curve['mean'] == pytest.approx(values, abs=0.006)
        assert (curve['mark'], curve['low']) == (4 if split == 'val' else None, [])
    assert {curve['axis'] for curve in chart['curves'] if curve['name'] == 'probe'} == {0, 1, 2}


@pytest.fixture(scope='module')
def used(workdir, tmp_path_factory) -> dict[int, dict]:
    """Results of the driver at each width; the driver's hash is added to the page's own policy."""
    folder = tmp_path_factory.mktemp('used')
    driver = base64.b64encode(hashlib.sha256(DRIVER.encode()).digest()).decode()
    source = (
        (workdir / 'report.html')
        .read_text()
        .replace("script-src '", f"script-src 'sha256-{driver}' '", 1)
    )
    (folder / 'copy.html').write_text(
        source.replace('<title>', f'<script>{DRIVER}</script><title>', 1)
    )
    frames = ''.join(
        f'<iframe src="copy.html" width="{w}" height="900" frameborder="0"></iframe>'
        for w in WIDTHS
    )
    (folder / 'around.html').write_text(chromium.AROUND + frames)
    dom, _ = chromium.browse(folder / 'around.html', folder)
    results = [json.loads(html.unescape(text)) for text in re.findall(r'<pre>({.*?})</pre>', dom)]
    assert {each['width'] for each in results} == set(WIDTHS)
    return {each['width']: each for each in results}


@browser
@at_width
def test_a_page_runs_without_an_error_and_fits(used, width):
    result = used[width]
    assert result['errors'] == []
    assert result['stray'] == []
    assert result['least'] >= 24
    assert result['needed'] <= width
    assert result['title'] == 'Does the way a network pools change what it learns?'


@browser
@at_width
def test_curves_go_off_and_on(used, width):
    result = used[width]
    assert result['curves'] == len(OPTIONS)  # the training errors are off at the start
    assert result['off'] == [len(OPTIONS) - 1, 'false']
    assert 'avg' not in [name for name, *_ in result['without']['rows']]
    assert result['on'] == [len(OPTIONS), 'true']
    assert result['alone'] == [1, 'true']
    assert result['double'] == [1, 'avg']
    assert [result['none'][0], result['all'][0]] == [0, len(OPTIONS)]
    assert result['training'] == [2 * len(OPTIONS), 'true']
    assert {'max, validation', 'max, training'} < {name for name, *_ in result['both']['rows']}


@browser
@at_width
def test_the_readout_says_the_numbers(used, workdir, width):
    result = used[width]
    drawn = {c['name']: c for c in charted(workdir)[0]['curves'] if c['part'] == 'validation'}
    places = dict(start=EPOCHS, left=1, right=None, keyed=None, end=EPOCHS, beyond=EPOCHS, home=1)
    for place, expected in places.items():
        epoch = int(result[place]['head'].removeprefix('epoch ').split(':')[0])
        assert expected in (None, epoch), place
        assert len(result[place]['rows']) == len(drawn)
        values = [float(value) for _, value, _ in result[place]['rows']]
        assert values == sorted(values, reverse=True)
        for name, value, interval in result[place]['rows']:
            mean, low, high = (drawn[name][part][epoch - 1] for part in ('mean', 'low', 'high'))
            assert value == f'{mean:.2f}'
            assert interval.replace('\u2212', '-') == f'{low:.2f} to {high:.2f}'
            assert place == 'start' or f'{name} {value} ({interval})' in result[place]['status']
    right, keyed = (int(result[place]['head'].split()[1][:-1]) for place in ('right', 'keyed'))
    assert 1 < right < EPOCHS
    assert keyed == right + 1


@browser
@at_width
def test_the_panels_stay_within_reach(used, width):
    assert used[width]['panels'] == [True, False]
    assert used[width]['back'] == [False, True]
    assert used[width]['focusable'] == 0


@browser
def test_without_scripts_the_picture_stands(workdir, tmp_path):
    source = (workdir / 'report.html').read_text()
    (tmp_path / 'held.html').write_text(
        source.replace("script-src 'sha256-", "script-src 'none' 'sha256-0", 1)
    )
    dom, _ = chromium.browse(tmp_path / 'held.html', tmp_path)
    assert dom.count('<picture>') == source.count('<picture>')
    assert 'class="chart"' not in dom
    dom, _ = chromium.browse(workdir / 'report.html', tmp_path)
    assert dom.count('class="chart"') == dom.count('<picture class="chart-off">') == 2
