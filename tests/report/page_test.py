"""Report page: contrast, its script, and files of its figures and tables."""

import base64
import csv
import hashlib
import itertools
import re

import numpy as np
import pytest
import workdirs

from jaxdl import report
from jaxdl.report.page import exports, markup, render
from jaxdl.report.page.blocks import Page, Section, Table

STYLE = (render.folder() / 'page.css').read_text()
TEXT = ('ink', 'soft', 'accent', 'warn')


# Of light, of dark as the system asks for it and as the button does, and of print.
THEMES = [
    dict(re.findall(r'--(\w+): (#\w{6});', block))
    for block in re.findall(r'--paper: .*?\}', STYLE, re.DOTALL)
]


def themes():
    return dict(light=THEMES[0], dark=THEMES[1])


def luminance(colour):
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return np.dot((0.2126, 0.7152, 0.0722), linear)


def contrast(one, other):
    """Contrast ratio by WCAG 2.2."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ('theme', 'ground', 'colour'), [*itertools.product(themes(), ('paper', 'faint'), TEXT)]
)
def test_text_is_read_on_every_ground(theme, ground, colour):
    colours = themes()[theme]
    assert contrast(colours[colour], colours[ground]) >= 4.5


@pytest.mark.parametrize('theme', ['light', 'dark'])
def test_borders_and_warnings_have_contrast(theme):
    colours = themes()[theme]
    assert contrast(colours['ink'], colours['warned']) >= 4.5
    assert contrast(colours['edge'], colours['paper']) >= 3


def test_the_dark_theme_is_one_whether_chosen_or_asked_of_the_system():
    light, asked, chosen, printed = THEMES
    assert asked == chosen
    assert printed == light


HOSTILE = {
    'max': (0.03, 0.1),
    '=cmd("x")|<b>&_%$#{}~^\\': (0.02, 0.1),
    '"><script>alert(1)</script>': (0.02, 0.1),
}


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    workdir = tmp_path_factory.mktemp('page') / 'run'
    report.build(workdirs.make(workdir, options=HOSTILE, seeds=4, epochs=6, tuning_seeds=1))
    return workdir


def test_the_page_runs_its_own_script_and_no_other(made):
    source = (made / 'report.html').read_text()
    assert source.count('<script>') == 1
    assert '<script>alert' not in source
    script = re.search(r'<script>(.*?)</script>', source, re.S)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in source
    assert "'unsafe-inline'" not in source.partition('script-src')[2].partition('>')[0]


def test_every_table_and_figure_is_a_file_too(made):
    source = (made / 'report.html').read_text()
    linked = set(re.findall(r'href="((?:tables|figures)/[^"]*)"', source))
    assert linked == {
        f'{path.parent.name}/{path.name}'
        for top in ('tables', 'figures')
        for path in (made / top).iterdir()
    }
    for path in (made / 'tables').glob('*.csv'):
        first, *rows = csv.reader(path.read_text().splitlines())
        assert rows
        assert {len(row) for row in rows} == {len(first)}
        assert not [
            cell for row in rows for cell in row if re.match(r'[=@\t]|[+-](?![\d.]|$)', cell)
        ]
    result = next((made / 'tables').glob('*test-accuracy*.csv'))
    assert '(+' in result.read_text() or '(-' in result.read_text()


def test_the_files_of_tables_go_with_the_report_that_had_them(made):
    (made / 'tables' / 'old.csv').write_text('')
    report.build(made)
    assert not (made / 'tables' / 'old.csv').exists()


def test_a_table_in_latex():
    rows = [
        [markup.name('50 %_&'), '\u22121.5\n(a \\ b)'],
        [markup.code('x={1}'), '3\u00a0\u00d7 ~^#$<>'],
    ]
    table = Table('Of A & B', ('Option', 'p'), rows, 'lr')
    latex = exports.as_latex(table, 'result-of-a-b')
    assert '\\caption{Of A \\& B}\n\\label{tab:result-of-a-b}\n' in latex
    assert r'\caption{Of A \& B}' in latex
    assert r'\begin{tabular}{lr}' in latex
    stacked = r'\begin{tabular}[t]{@{}r@{}}$-$1.5\\(a \textbackslash{} b)\end{tabular}'
    assert rf'\textbf{{50 \%\_\&}} & {stacked} \\' in latex
    assert (
        r'\texttt{x=\{1\}} & 3~$\times$ '
        r'\textasciitilde{}\textasciicircum{}\#\$\textless{}\textgreater{} \\' in latex
    )
    assert latex.replace(r'\{', '').count('{') == latex.replace(r'\}', '').count('}')
    # Never wider than a column: shrunk if necessary, long headings and texts in several lines.
    assert r'\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%' in latex
    wide = exports.as_latex(Table('T', ('Interval over seeds and images',), [['long text']], 'w'))
    assert r'\begin{tabular}{p{0.25\linewidth}}' in wide
    assert r'Interval over\\seeds and images\end{tabular} \\' in wide


def test_no_line_in_latex_is_the_argument_of_the_line_break_before_it():
    rows = [['+1\n[0 to 2]', 'a'], ['[b]', '*']]
    latex = exports.as_latex(Table('T', ('Option', 'p'), rows, 'lr'))
    assert r'\\{}[0 to 2]\end{tabular} & a \\' in latex
    assert not re.search(r'\\\\\s*[\[*]', latex)


def test_signs_in_cells_of_csv_files():
    rows = [['\u2013', '-'], ['\u22121.5', '+2'], ['=1', '-x']]
    table = exports.as_csv(Table('T', ('a', 'b'), rows, 'lr'))
    assert table.splitlines() == ['a,b', '-,-', '-1.5,+2', "'=1,'-x"]


def test_names_of_tables_do_not_depend_on_numbers():
    def page(seeds, *more):
        table = Table(f'Test accuracy, over {seeds} seeds per option', ('a',), [['b']], 'l')
        runs = Table(f'Comparison over {seeds} seeds', ('a',), [['b']], 'l')
        sections = [*more, Section('Result: less data', [table, table, runs])]
        return Page('?', [], sections, [Section('Costs', [Table('1 2', ('a',), [['b']], 'l')])])

    names = [
        'result-less-data-test-accuracy',
        'result-less-data-test-accuracy-2',
        'result-less-data-comparison-over-seeds',
        'costs',
    ]
    assert list(page(3).tables) == names
    assert list(page(10, Section('First', [])).tables) == names
