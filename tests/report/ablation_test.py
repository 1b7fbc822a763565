"""Report of an ablation: equal to the tables, safe for any name, built without jax."""

import csv
import itertools
import json
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import workdirs
from report_pages import Page, drawings, outside, without_own_scripts

from jaxdl import errors, report, statistics
from jaxdl import workdir as holding
from jaxdl.report.ablation import verdicts
from jaxdl.report.page import markup, words
from jaxdl.workdir import tables as results
from jaxdl.workdir.correct import read_correct

HOSTILE = {
    'max': (0.03, 0.1),
    '<b>|x': (0.02, 3.16),
    '`$\\frac$` [a](http://b) *c*': (0.06, 0.1),
    '_"quoted" & \'so\' 平均': (0.03, 0.0001),
}


def built(folder: pathlib.Path, **changes) -> pathlib.Path:
    report.build(workdirs.make(folder, **changes))
    return folder


def read(workdir: pathlib.Path) -> Page:
    return Page((workdir / 'report.html').read_text())


def page_of(workdir: pathlib.Path) -> str:
    return (workdir / 'report.html').read_text()


@pytest.fixture(scope='module')
def usual(tmp_path_factory) -> pathlib.Path:
    return built(tmp_path_factory.mktemp('usual') / 'pooling')


@pytest.fixture(scope='module')
def odd(tmp_path_factory) -> pathlib.Path:
    """All oddities at once: hostile names, extended grids, diverged members, two conditions."""
    diverged = {('<b>|x', 0.01, 0): 2, ('<b>|x', 0.01, 1): 1, ('max', 0.1, 1002): 3}
    return built(
        tmp_path_factory.mktemp('odd') / 'odd one',
        options=HOSTILE,
        seeds=4,
        tuning_seeds=2,
        epochs=3,
        conditions={'all data': {}, 'half of the |data|': {'variant.dropout': 0.5}},
        diverged=diverged,
        scale='quick',
        classes=['a "quoted" <i>class</i>', 'b|c'],
    )


def test_a_page_loads_nothing_from_anywhere(usual, odd):
    for workdir in (usual, odd):
        source = (workdir / 'report.html').read_text()
        assert outside(source.replace('http://b', '')) == []  # the name of an option, shown as text
        assert Page(source).loads
    for bad in (
        '<img src="https://x.y/z.png">',
        '<style>@import "a.css"</style>',
        '<link href="a.css">',
        '<script>1</script>',
    ):
        assert outside(source.replace('</main>', bad + '</main>')), (
            f'the check above is blind to {bad}'
        )


def test_figures_are_whole_and_draw_no_link(usual, odd):
    for workdir in (usual, odd):
        source = (workdir / 'report.html').read_text()
        figures = list(drawings(source))
        assert len(figures) == 2 * len(Page(source).figures) > 0
        for drawing in figures:
            links = [v for e in drawing.iter() for k, v in e.attrib.items() if k.endswith('href')]
            assert all(link.startswith('#') for link in links)
            assert not [
                e for e in drawing.iter() if e.tag.endswith(('}image', '}script', '}foreignObject'))
            ]


def test_every_figure_says_its_numbers_in_words(usual):
    differences, learning, rates, _ = (figure['alt'] for figure in read(usual).figures)
    summary = results.read_table(usual / 'summary.csv', results.SUMMARY)
    for row in summary[1:]:
        assert f'{row["option"]} {words.points(row["difference"])} (' in differences
        assert f'selected {row["learning_rate"]:g}' in rates
    for option in workdirs.first(5):
        assert re.search(
            rf'{option}: training \d+\.\d\d to \d+\.\d\d, validation \d+\.\d\d to \d+\.\d\d',
            learning,
        )
        assert re.search(rf'{option}: \d+\.\d\d at 0\.01, ', rates)


def test_names_stay_text(odd):
    source = without_own_scripts((odd / 'report.html').read_text())
    page = Page(source)
    for option in HOSTILE:
        assert option in page.table('Test accuracy')
        assert option in ''.join(page.table('Options of').keys())
        assert all(option in figure['alt'] for figure in page.figures if option != 'max')
    assert 'a "quoted" <i>class</i>' in page.text
    assert 'half of the |data|' in page.text
    assert '<b>|x' not in source
    assert page.tags.isdisjoint({'i', 'script', 'iframe', 'object'})


def test_markdown_keeps_its_tables_and_links_its_figures(odd):
    text = (odd / 'report.md').read_text()
    tables = re.findall(r'(?:^\|.*\n)+', text, re.MULTILINE)
    assert len(tables) == (odd / 'report.html').read_text().count('<table>')
    for table in tables:
        assert len({len(re.findall(r'(?<!\\)\|', line)) for line in table.splitlines()}) == 1
    prose = re.sub(
        r'(?<![\\`])(`+)(?!`).*?(?<!`)\1(?!`)', '', text, flags=re.DOTALL
    )  # in code every sign is itself
    assert '<b>' not in prose
    assert '[a](http://b)' not in prose
    assert r'\[a\](http://b)' in prose
    figures = re.findall(r'^!\[.*\]\((figures/\w+\.png)\)$', text, re.MULTILINE)
    assert sorted(figures) == sorted(
        f'figures/{path.name}' for path in (odd / 'figures').glob('*.png')
    )


def test_the_table_is_the_summary(usual):
    table = read(usual).table('Test accuracy')
    with (usual / 'summary.csv').open() as file:
        summary = list(csv.DictReader(file))
    assert len(summary) == len(table) == 5
    for row in summary:
        cells = ascii_cells(table[row['option']])
        ends = [float(row[key]) for key in ('mean', 'ci_low', 'ci_high')]
        if ends[0] > 0.95:  # near 1 the interval is a logit interval
            ends[1:] = statistics.logit_interval(*ends)
        mean, low, high = (100 * end for end in ends)
        assert cells[0] == f'{mean:.2f} ({low:.2f} to {high:.2f})'
        assert high < 100
        if row['option'] == row['baseline']:
            continue
        unadjusted, _, corrected = cells[1].partition(' [')
        assert unadjusted == percentage_points(row, '')
        assert excludes_0(corrected) == (row['verdict'] != verdicts.NONE)
        unadjusted, _, corrected = cells[2].partition(' [')
        assert f'({unadjusted})' == percentage_points(row, '_images').partition(' ')[2]
        assert excludes_0(corrected) == (row['verdict_images'] != verdicts.NONE)
        assert cells[3:5] == [shown_p(row['p_holm']), shown_p(row['p_holm_images'])]
        assert cells[5:] == [row['verdict'], row['verdict_images']]


def test_both_pages_have_both_verdicts_of_each_option(usual):
    summary = results.read_table(usual / 'summary.csv', results.SUMMARY)[1:]
    alt, markdown = read(usual).figures[0]['alt'], (usual / 'report.md').read_text()
    for row in summary:
        option, verdict, new = (row[key] for key in ('option', 'verdict', 'verdict_images'))
        of_option = re.compile(
            rf'{option} \S+ \((.*?)\), these images: {verdict}; .*?\((.*?)\), new images: {new}\.'
        )
        assert of_option.search(markdown)
        match = of_option.search(alt.replace('\u2212', '-'))
        assert match
        over_seeds, over_images = match.groups()  # in the plot they agree with the verdicts
        assert excludes_0(over_seeds) == (verdict != verdicts.NONE)
        assert excludes_0(over_images) == (new != verdicts.NONE)
        assert re.search(rf'^\| \*\*{option}\*\* .*\| {verdict} \| {new} \|$', markdown, re.M)


def test_the_appendix_has_both_comparisons(usual):
    page = read(usual)
    seeds, images = page.table('Comparison over 10'), page.table('Comparison over 10\xa0seeds \xd7')
    with (usual / 'summary.csv').open() as file:
        summary = [row for row in csv.DictReader(file) if row['option'] != row['baseline']]
    assert len(summary) == len(seeds) == len(images) == 4
    for row in summary:
        for table, end, verdict in (
            (seeds, '', row['verdict']),
            (images, '_images', row['verdict_images']),
        ):
            cells = ascii_cells(table[row['option']])
            assert cells[0] == percentage_points(row, end)
            p, holm = row[f'p_value{end}'], row[f'p_holm{end}']
            assert cells[2] == f'{shown_p(p)} ({shown_p(holm)})'
            # The corrected interval excludes 0 exactly where Holm's method rejects.
            low, high = (float(bound) for bound in cells[1].split(' to '))
            assert (verdict == verdicts.NONE) == (low <= 0 <= high)
        cells = ascii_cells(seeds[row['option']])
        assert cells[3].startswith(
            f'{float(row["p_better"]):.2f} ({float(row["p_better_low"]):.2f} to '
        )
        assert float(cells[4]) > 100 * float(row['detectable'])  # Holm's first step


def test_images_that_make_up_the_difference_are_counted(usual):
    correct, items = read_correct(usual / 'correct.npz'), read(usual).text
    baseline = correct.by_seed('', 'max')[1]
    for option in ('avg', 'strided'):
        d = correct.by_seed('', option)[1] - baseline
        total, per_image = abs(d.sum()), sorted(d.sum(0) * np.sign(d.sum()), reverse=True)
        sums = list(itertools.accumulate(per_image))
        half, every = (
            1 + next(i for i, s in enumerate(sums) if s >= share * total) for share in (0.5, 1)
        )
        assert (
            f'{option} and max differ on {d.any(0).sum()} of 360\xa0test images, in at least one '
            f'seed. Images that make up half of the difference: {half}; all of it: {every}.'
            in items
        )


def ascii_cells(cells: list[str]) -> list[str]:
    return [cell.replace('\u2212', '-').replace('\n', ' ') for cell in cells]


def percentage_points(row: dict[str, str], end: str) -> str:
    d, low, high = (
        100 * float(row[key])
        for key in ('difference', f'difference_low{end}', f'difference_high{end}')
    )
    return f'{d:+.2f} ({low:+.2f} to {high:+.2f})'


def excludes_0(interval: str) -> bool:
    low, high = map(float, interval.removesuffix(']').split(' to '))
    return not low <= 0 <= high


def shown_p(p: str) -> str:
    return '< 0.001' if float(p) < 0.001 else f'{float(p):.3f}'


def test_the_summary_is_recomputed(usual):
    written = (usual / 'summary.csv').read_bytes()
    (usual / 'summary.csv').write_text('something else\n')
    report.build(usual)
    assert (usual / 'summary.csv').read_bytes() == written


def compared(
    option: str, verdict: str, difference: float = 0.01, detectable: float = 0.004
) -> results.Row:
    return dict(
        option=option,
        baseline='max',
        seeds=10,
        mean=0.97,
        ci_low=0.96,
        ci_high=0.98,
        difference=difference,
        difference_low=difference - 0.002,
        difference_high=difference + 0.002,
        verdict=verdict,
        detectable=detectable,
    )


BASELINE = dict(option='max', baseline='max', seeds=10, mean=0.97, ci_low=0.96, ci_high=0.98)


@pytest.mark.parametrize(
    ('rows', 'expected'),
    [
        (
            [compared('a', 'better')],
            r'^a is better than max: \+1\.00 percentage points \(95 % interval \+0\.80 to ',
        ),
        (
            [compared('a', 'worse', -0.02)],
            r'^a is worse than max: .2\.00 percentage points .*, n = 10 seeds\)\.$',
        ),
        (
            [compared('a', verdicts.NONE)],
            r'^No difference found between a and max: .* Minimum detectable difference: 0\.40\.$',
        ),
        (
            [compared('a', verdicts.NONE, 0.0, 0.0)],
            r'^No difference found .* 0\.00 .* Minimum detectable difference: not estimable\.$',
        ),
        (
            [compared('a', 'better'), compared('b', 'worse', -0.01)],
            r'^Better than max: a \(.*\. Worse than max: b \(',
        ),
        (
            [compared('a', 'worse', -0.01), compared('b', verdicts.NONE)],
            r'^Worse than max: a .*\. No difference from max found: '
            r'b \(.*; minimum detectable difference 0\.40\)\. All with n = 10 seeds\.$',
        ),
        (
            [compared(name, verdicts.NONE, detectable=i / 100) for i, name in enumerate('abc', 1)],
            r'^No difference from max found: a, b and c '
            r'\(minimum detectable difference 1\.00 to 3\.00 percentage points\)',
        ),
        (
            [compared('a', 'better') | dict(verdict_images=verdicts.NONE, images=360)],
            r'^a is better than max on these 360 test images, too few groups of images',
        ),
        (
            [
                compared(name, 'better')
                | dict(verdict_images=verdicts.NONE, images=360, image_groups=20)
                for name in 'ab'
            ],
            r'^Better than max on these 360 test images, not established for new images: a \(',
        ),
        ([], r'^Test accuracy of max: 97\.00 % .* There is no other option to compare\.$'),
    ],
)
def test_the_answer_has_one_sentence_per_verdict(rows, expected):
    sentence = markup.plain(verdicts.sentence([BASELINE, *rows])).replace(words.SPACE, ' ')
    assert re.search(expected, sentence), sentence


def test_the_page_opens_with_the_answer(usual):
    summary = results.read_table(usual / 'summary.csv', results.SUMMARY)
    result = {row['option']: row['verdict'] for row in summary[1:]}
    assert result['avg'] == 'better'
    assert result['strided'] == 'worse'
    better, worse, rest = re.findall(
        r'<p class="lead">(.*?)\. (Worse .*?)\. (No .*?)</p>', page_of(usual)
    )[0]
    assert 'avg' in better
    assert 'strided' in worse
    assert all(option in rest for option, verdict in result.items() if verdict == verdicts.NONE)


ORDER = ['Result', 'Learning curves', 'Decision', 'Methods', 'Data', 'Appendix']
APPENDIX = [
    'Uncertainty',
    'Equivalence',
    'Learning rates',
    'Tuning budget',
    'Costs',
    'Protocol',
    'Limits',
    'All runs',
    'Provenance',
]


def test_the_answer_comes_first_and_the_folded_appendix_last(usual):
    source, text = page_of(usual), (usual / 'report.md').read_text()
    heads = re.findall(r'<h([23]) id="section-[\d.]+">([\d.]+) ([^<]*)', source)
    assert [title for level, _, title in heads if level == '2'] == ORDER
    assert [title for level, _, title in heads if level == '3'] == APPENDIX
    assert re.findall(r'^(##+) ([\d.]+) (.*)$', text, re.M) == [
        ('#' * int(level), number, title) for level, number, title in heads
    ]
    head, _, rest = source.partition('<nav')
    assert 'class="lead"' in head
    assert 'id="differences"' in head
    before, _, folded = rest.partition('<details class="appendix">')
    assert 'Learning curves' in before
    assert folded.count('<h3') == len(APPENDIX)
    assert '<details' not in before.partition('</nav>')[2]
    assert f'<a href="#section-{len(ORDER)}">Appendix</a>' in before


def test_the_same_workdir_gives_the_same_bytes(usual, tmp_path):
    first = {
        path.relative_to(usual): path.read_bytes() for path in usual.rglob('*') if path.is_file()
    }
    again = built(tmp_path / usual.name)
    assert {
        path.relative_to(again): path.read_bytes() for path in again.rglob('*') if path.is_file()
    } == first
    assert {'.html', '.md', '.svg', '.png', '.csv', '.tex', '.json', '.npz'} == {
        path.suffix for path in first
    }


@pytest.mark.system
def test_a_report_needs_no_jax(tmp_path):
    holding.seal(
        workdirs.make(
            tmp_path / 'run', options=workdirs.first(2), seeds=2, epochs=2, tuning_seeds=1
        )
    )
    code = (
        'import sys, pathlib\n'
        'for name in ("jax", "jaxlib", "flax", "optax", "orbax", "grain"):\n'
        '    sys.modules[name] = None\n'
        'from jaxdl import report\n'
        'print(report.build(pathlib.Path("run")))'
    )
    process = subprocess.run(
        [sys.executable, '-W', 'error', '-c', code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=dict(PYTHONPATH=str(pathlib.Path(report.__file__).parents[2])),
    )
    assert (process.returncode, process.stderr) == (0, '')
    assert process.stdout.split() == [str(pathlib.Path('run') / 'report.html')]


def test_a_quick_run_is_no_evidence(usual, odd):
    assert 'no evidence' in read(odd).text.split('Contents')[0]
    assert 'no evidence' in (odd / 'report.md').read_text().split('## 1 ')[0]
    assert 'no evidence' not in read(usual).text


def test_lost_members_are_named(usual, odd):
    page = read(odd)
    rows = page.tables['Diverged runs']
    assert ['<b>|x (all data)', 'tune', '0.01', 'seed 0 (epoch 2), seed 1 (epoch 1)'] in rows
    assert ['max (all data)', 'measure', '0.1', 'seed 1002 (epoch 3)'] in rows
    assert 'counts as chance, 50.00' in page.text
    assert 'Evaluation runs that diverged: 1 of max' in page.text
    assert 'No run diverged' in read(usual).text


def test_an_extended_grid_is_reported(usual, odd):
    text = read(odd).text
    assert (
        '<b>|x: the best learning rate was at the edge of the grid, '
        'so the grid was extended to 9.99. '
        'The best rate, 3.16, is inside the grid.' in text
    )
    name = re.escape(list(HOSTILE)[-1])
    assert re.search(
        rf'{name}: .* extended to 0\.000999\. The best rate, 0\.000999, is still at the edge', text
    )
    assert '3.16 (added)' in text
    assert 'extended' not in read(usual).text


def test_a_given_rate_is_not_called_tuned(tmp_path):
    page = read(built(tmp_path, options=workdirs.first(2), seeds=3, epochs=2, rates=[0.05]))
    assert 'The learning rate was not tuned: 0.05 for every option.' in page.text
    assert 'Tune.' not in page.text
    assert len(page.figures) == 2


def test_scaled_rates_are_no_growth(tmp_path):
    workdirs.make(
        tmp_path,
        options={'max': (0.03, 0.1), 'ten': (0.03, 0.1)},
        seeds=2,
        epochs=2,
        rates=(0.01, 0.1, 1.0),
    )
    rows = results.read_table(tmp_path / 'results.csv', results.RESULTS)
    for row in rows:
        if row['option'] == 'ten':
            row['learning_rate'] *= 10
    results.write_table(tmp_path / 'results.csv', results.RESULTS, rows)
    change(tmp_path / 'config.json', options=dict(max={}, ten=dict(learning_rate_scale=10)))
    report.build(tmp_path)
    assert '(added)' not in read(tmp_path).text
    change(tmp_path / 'config.json', options=dict(max={}, ten={}))
    report.build(tmp_path)
    assert '(added)' in read(tmp_path).text


def test_conditions_each_have_their_result(odd):
    page = read(odd)
    for condition in ('all data', 'half of the |data|'):
        assert f'Result: {condition}' in page.text
        assert f'Costs: {condition}' in page.text
    assert len(page.figures) == 8
    assert 'variant.dropout=0.5' in page.text


def test_conditions_may_differ_in_design(tmp_path):
    conditions = {'short': {}, 'long': dict(epochs=7, tuning_seeds=2)}
    same = {name: {} for name in conditions}
    workdirs.make(
        tmp_path, options=workdirs.first(2), seeds=2, epochs=2, tuning_seeds=1, conditions=same
    )
    change(tmp_path / 'config.json', conditions=conditions)
    report.build(tmp_path)
    text = read(tmp_path).text
    assert 'at epoch 2 and 7' in text
    assert 'Tuning seeds: 1 and 2' in text
    assert re.search(
        'short: 2.options . 5.learning rates . 1.tuning seed: 10.runs; long: .* 2.tuning seeds',
        text,
    )


def test_no_folder_of_the_machine_is_disclosed(usual, odd):
    for path in [*usual.glob('report.*'), *odd.glob('report.*')]:
        assert '/home' not in path.read_text()
        assert str(path.parent.parent) not in path.read_text()
    assert '--workdir=pooling' in (usual / 'report.md').read_text()
    assert "--mode=report --workdir='odd one'" in (odd / 'report.md').read_text()


@pytest.mark.parametrize(
    ('command', 'expected'),
    [
        ('python -m jaxdl.main --workdir=/a/b/c', 'python -m jaxdl.main --workdir=c'),
        (
            "jaxdl --dataset='csv:/my data/x.csv:image:label'",
            'jaxdl --dataset=csv:x.csv:image:label',
        ),
        (
            '/usr/bin/python3 --set=momentum=1/3 --workdir=runs/a',
            'python3 --set=momentum=1/3 --workdir=runs/a',
        ),
        ('jaxdl "--workdir=/a/b', 'jaxdl "--workdir=b'),
    ],
)
def test_commands_lose_their_folders(command, expected):
    assert words.local_command(command) == expected


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        (None, '\u2013'),
        (0, '0'),
        (9999, '9,999'),
        (12345, '12.3 k'),
        (999_950, '1.00 M'),
        (1.5e9, '1.50 G'),
    ],
)
def test_amounts_have_readable_units(value, expected):
    assert words.amount(value).replace(words.SPACE, ' ') == expected


def change(path: pathlib.Path, **fields) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def cut(path: pathlib.Path, lines: int) -> None:
    path.write_text(''.join(path.read_text().splitlines(keepends=True)[:-lines]))


def without_option(path: pathlib.Path) -> None:
    rows = [row for row in results.read_table(path, results.RESULTS) if row['option'] != 'avg']
    results.write_table(path, results.RESULTS, rows)
    change(path.parent / 'run.json', results_rows=len(rows))


BAD = {
    'no config': (lambda d: (d / 'config.json').unlink(), 'holds no config.json'),
    'damaged config': (
        lambda d: (d / 'config.json').write_text('{"kind": '),
        'config.json is damaged',
    ),
    'config without options': (
        lambda d: (d / 'config.json').write_text('{"kind": "Ablation"}'),
        'it lacks name',
    ),
    'another kind': (
        lambda d: change(d / 'config.json', kind='Ablatoin'),
        'did you mean Ablation?',
    ),
    'no run': (
        lambda d: (d / 'run.json').unlink(),
        'the run is not finished; the same command resumes it',
    ),
    'unfinished': (lambda d: change(d / 'run.json', finished=False), 'the run is not finished'),
    'no plan': (lambda d: (d / 'plan.json').unlink(), 'holds no plan.json'),
    'no results': (lambda d: (d / 'results.csv').unlink(), 'holds no results.csv'),
    'rows missing': (lambda d: cut(d / 'results.csv', 7), 'truncated'),
    'last row torn': (
        lambda d: (d / 'results.csv').write_text((d / 'results.csv').read_text()[:-9]),
        'cut short',
    ),
    'no costs': (lambda d: (d / 'costs.csv').unlink(), 'holds no costs.csv'),
    'option missing': (lambda d: without_option(d / 'results.csv'), "has no measurement of 'avg'"),
}


@pytest.mark.parametrize('name', BAD)
def test_bad_input_is_reported_and_changes_nothing(name, tmp_path):
    workdir = workdirs.make(
        tmp_path / 'run', options=workdirs.first(3), seeds=2, epochs=2, tuning_seeds=1
    )
    (workdir / 'report.html').write_text('an older report')
    spoil, message = BAD[name]
    spoil(workdir)
    before = {path: path.read_bytes() for path in workdir.rglob('*') if path.is_file()}
    with pytest.raises(errors.InputError, match=re.escape(message)) as raised:
        report.build(workdir)
    assert '\n' not in str(raised.value)
    assert {path: path.read_bytes() for path in workdir.rglob('*') if path.is_file()} == before


@pytest.mark.parametrize('place', ['missing', 'empty', 'file'])
def test_a_place_without_a_run(place, tmp_path):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'file').write_text('')
    with pytest.raises(errors.InputError, match=r'holds no|not the workdir of a run'):
        report.build(tmp_path / place)
    assert sorted(path.name for path in tmp_path.rglob('*')) == ['empty', 'file']
