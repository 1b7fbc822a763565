"""Report of a fine-tuning: content of its workdir, missing files, hostile names as text."""

import csv
import itertools
import json
import pathlib
import re
import subprocess
import sys

import finetune_workdirs
import numpy as np
import pytest
from report_pages import Page, drawings, outside

from jaxdl import report, statistics
from jaxdl import workdir as folder
from jaxdl.errors import InputError
from jaxdl.report.finetune import confusion, reading
from jaxdl.report.page import plots, words
from jaxdl.report.page.blocks import Drawing
from jaxdl.statistics import classification

HOSTILE = ('<b>|', '`$\\frac$` [a](http://b) *c*', '_"quoted" & \'so\' 平均', 'two\nlines', 'plain')
SECTIONS = {
    'evaluation.npz': ('Confusions', 'Calibration'),
    'mistakes.npz': ('Most confident mistakes',),
    'gradcam.npz': ('Grad-CAM',),
    'probe.csv': ('Probe',),
    'split.json': ('Uncertainty',),
    'evidence.json': (),
    'label_issues.json': ('Possible label errors',),
}


def built(workdir: pathlib.Path, **changes) -> pathlib.Path:
    report.build(finetune_workdirs.make(workdir, **changes))
    return workdir


@pytest.fixture
def undrawn(monkeypatch):
    """Figures cost seconds: for what they do not matter to, they are empty."""
    monkeypatch.setattr(
        plots, 'draw', lambda plot: Drawing(b'<svg/>', b'<svg/>', b'', (1, 1), (1, 1))
    )


def read(workdir: pathlib.Path) -> Page:
    return Page((workdir / 'report.html').read_text())


def headings(workdir: pathlib.Path) -> list[str]:
    return re.findall(r'^## \d+ (.*)$', (workdir / 'report.md').read_text(), re.MULTILINE)


@pytest.fixture(scope='module')
def full(tmp_path_factory) -> pathlib.Path:
    return built(tmp_path_factory.mktemp('full') / 'grocery')


@pytest.fixture(scope='module')
def odd(tmp_path_factory) -> pathlib.Path:
    """Names made to break a page, several runs, a split at random, shrunk."""
    runs = [f'finetune, fold {i}' for i in (1, 2)]
    return built(
        tmp_path_factory.mktemp('odd') / 'odd one',
        classes=HOSTILE,
        images=40,
        runs=runs,
        epochs=1,
        scale='quick',
        grouped=False,
    )


@pytest.fixture(scope='module')
def probed(tmp_path_factory) -> pathlib.Path:
    """A probe alone, without any artifact."""
    leave_out = finetune_workdirs.ARTIFACTS
    return built(
        tmp_path_factory.mktemp('probed') / 'probe', stages=('probe',), leave_out=leave_out
    )


def test_the_page_opens_with_the_verdict(full):
    scores = json.loads((full / 'run.json').read_text())['scores']
    arrays = np.load(full / 'artifacts' / 'evaluation.npz')
    measured = statistics.compare_predictions(
        arrays['labels'], arrays['logits'].argmax(1), arrays['probe_predicted'], arrays['group']
    )
    groups = len(set(arrays['group']))
    interval = words.span(*measured.option.accuracy.interval, words.number)
    assert measured.verdict == 'established'
    text = read(full).text.replace(words.SPACE, ' ')
    for sentence in (
        f'on 440 validation images in {groups} groups: '
        f'{100 * scores["finetune"]["accuracy"]:.2f} % (95 % interval {interval})',
        f'{100 * scores["probe"]["accuracy"]:.2f} %. Fine-tuning gained '
        f'{words.number(measured.accuracy.value)} percentage points (95 % interval '
        f'{words.span(*measured.accuracy.interval)}), established for new images',
        'A random split overestimates accuracy by 21.38 percentage points',
    ):
        assert sentence in text[: text.index('Scores on the 440')], sentence


def test_every_score_has_an_interval_over_groups(full):
    rows = read(full).table('Scores on the 440 validation images in')
    assert len(rows) == 3
    for name, (accuracy, macro_f1, *_) in rows.items():
        for cell in (accuracy, macro_f1):
            value, low, high = map(
                float, re.findall(r'[-\d.]+', cell.replace('\u2212', '-').replace('+', ''))
            )
            assert low <= value <= high, (name, cell)
    assert any(name.endswith('probe: established') for name in rows)
    assert 'by a bootstrap over groups' in read(full).text


def test_images_without_groups_are_groups(odd):
    assert 'on 40 validation images in 40\u00a0groups' in read(odd).text


def test_few_groups_give_no_interval_and_no_verdict(tmp_path, undrawn):
    workdir = built(tmp_path / 'run', classes=HOSTILE, images=20)
    text = read(workdir).text.replace(words.SPACE, ' ')
    head = text[: text.index('Scores on the 20')]
    assert 'Too few groups of images for an interval.' in head
    assert 'too few groups for a verdict on new images' in head
    assert '95 % interval' not in head
    assert 'Too few groups: the images form' in text


def test_the_probe_of_other_images_is_scored_on_these_too(tmp_path, undrawn):
    workdir = finetune_workdirs.make(tmp_path / 'run')
    run = json.loads((workdir / 'run.json').read_text())
    run['scores']['finetune']['split'] = 'test'
    (workdir / 'run.json').write_text(json.dumps(run))
    report.build(workdir)
    rows = read(workdir).table('Scores on the 440 test images')
    assert [*rows][:3] == ['Probe (validation images)', 'Probe', 'Fine-tuned']
    assert '(' not in rows['Probe (validation images)'][0]
    assert '(' in rows['Probe'][0]


def test_every_section_is_there_in_both_forms(full, odd):
    for workdir in (full, odd):
        titles = headings(workdir)
        expected = itertools.chain(
            *SECTIONS.values(), ('Learning curves', 'Evidence for each setting', 'Model card')
        )
        assert set(expected) <= set(titles)
        assert titles[:3] == ['Result', 'Uncertainty', 'Learning curves']
        assert all(title in read(workdir).text for title in titles)


def test_a_probe_alone_has_no_curves(probed):
    assert not {'Learning curves', *itertools.chain(*SECTIONS.values())} & set(headings(probed))
    text = read(probed).text
    assert 'Accuracy of the probe (linear head on frozen features) on' in text
    assert 'fine-tuned' not in text
    assert 'train_size' not in text  # a probe does not use it


@pytest.mark.parametrize('name', SECTIONS)
def test_without_an_artifact_its_section_is_left_out(name, tmp_path, undrawn):
    workdir = built(tmp_path / 'run', classes=HOSTILE, images=20, leave_out=[name])
    everything = set(itertools.chain(*SECTIONS.values()))
    assert everything - set(headings(workdir)) == set(SECTIONS[name])
    if name == 'evidence.json':
        assert 'No ablation varied any of them.' in read(workdir).text


def test_names_stay_text(full, odd):
    assert read(odd).tags <= read(full).tags  # no name became an element
    source, page = (odd / 'report.html').read_text(), read(odd)
    assert outside(source.replace('http://b', '')) == []
    assert outside((full / 'report.html').read_text()) == []
    named = ' '.join(cell for rows in page.tables.values() for row in rows for cell in row)
    for name in HOSTILE:
        assert name.replace('\n', ' ') in named


def test_markdown_keeps_its_tables_and_links_its_figures(full, odd):
    for workdir in (full, odd):
        text = (workdir / 'report.md').read_text()
        tables = re.findall(r'(?:^\|.*\n)+', text, re.MULTILINE)
        for table in tables:
            bars = {len(re.findall(r'(?<!\\)\|', line)) for line in table.splitlines()}
            assert len(bars) == 1, table
        assert len(tables) >= 8
        linked = re.findall(r'\]\((figures/[^)]*)\)', text)
        assert sorted(linked) == sorted(
            f'figures/{path.name}' for path in (workdir / 'figures').glob('*.png')
        )
        assert '<b>' not in text


def test_figures_are_whole_and_say_their_numbers(full):
    source = (full / 'report.html').read_text()
    figures = {figure['alt'].split(' ')[0]: figure['alt'] for figure in Page(source).figures}
    assert len(list(drawings(source))) == 2 * len(Page(source).figures) == 16
    grid = next(alt for alt in figures.values() if 'by learning rate and weight decay' in alt)
    assert 'diverged at 1 and 0.001' in grid
    assert grid.count(' at ') == 16
    reliability = next(alt for alt in figures.values() if 'calibration error' in alt)
    assert reliability.count('calibration error') == 2
    for drawing in drawings(source):
        links = [
            value for e in drawing.iter() for key, value in e.attrib.items() if key.endswith('href')
        ]
        assert all(re.match(r'#|data:image/png', link) for link in links)


def test_pairs_and_classes_are_those_of_the_logits(full):
    arrays = np.load(full / 'artifacts' / 'evaluation.npz')
    labels, predicted = arrays['labels'], arrays['logits'].argmax(1)
    table = classification.confusion(labels, predicted, 81)
    page, names = read(full), finetune_workdirs.CLASSES
    rows = next(
        rows for caption, rows in page.tables.items() if caption.startswith('Most confused')
    )[1:]
    counts = [int(row[2].split(' of ')[0]) for row in rows]
    assert counts == sorted(counts, reverse=True)
    off = table - np.diag(np.diag(table))
    assert counts == sorted(off[off > 0], reverse=True)[: len(rows)]
    for true, taken, times, *_ in rows:
        label = names.index(true)
        assert times == f'{off[label, names.index(taken)]} of {table[label].sum()}'
    each = classification.per_class(table)
    for name, cells in page.table('Scores per class').items():
        label = names.index(name)
        assert cells[0] == str(each['support'][label])
        assert cells[1] == str(len(set(arrays['group'][labels == label])))
        assert cells[4] == f'{100 * each["f1"][label]:.1f}'


def test_a_matrix_shows_few_classes_and_no_mistake_no_matrix(undrawn, tmp_path):
    table = np.random.default_rng(0).integers(0, 5, (81, 81))
    pairs = confusion.confused_pairs(table)
    for most in (8, 18):
        classes = confusion.members(pairs, most)
        assert most - 1 <= len(classes) == len(set(classes)) <= most
        assert set(pairs[0]) <= set(classes)
    workdir = finetune_workdirs.make(tmp_path / 'right', classes=HOSTILE, images=20)
    arrays = dict(np.load(workdir / 'artifacts' / 'evaluation.npz'))
    folder.write_arrays(
        workdir / 'artifacts' / 'evaluation.npz', arrays | dict(labels=arrays['logits'].argmax(1))
    )
    report.build(workdir)
    assert 'All 20 images are classified correctly' in read(workdir).text
    assert not (workdir / 'figures' / 'confusion.png').exists()


def test_settings_are_those_that_differ_from_defaults_or_were_varied(full):
    rows, text = read(full).table('Settings'), read(full).text.replace('\u00a0', ' ')
    assert rows['variant.label_smoothing'] == ['0.1', '0.0', 'no evidence']
    assert rows['variant.schedule'] == [
        'warmup_cosine',
        'cosine',
        'warmup_cosine against usual: better, +2.10 (+0.90 to +3.30) percentage points '
        '(schedule/summary.csv, digits, a small network)',
    ]
    assert rows['variant.mixup'][:2] == ['0.0', '0.0']  # a default that an ablation varied
    assert '(finetune_recipe/summary.csv, digits)' in rows['variant.mixup'][2]
    assert 'together with colour' in rows['variant.flip'][2]
    assert '+0.002 (\u22120.01 to +0.014) AUROC' in rows['finetune.layer_decay'][2]
    assert not {'variant.dropout', 'variant.erasing', 'stages'} & rows.keys()
    changed = [name for name, (value, default, _) in rows.items() if value != default]
    tested = [name for name, (*_, evidence) in rows.items() if evidence != 'no evidence']
    assert len(tested) == 6
    assert f'{len(changed)} settings differ from the defaults' in text
    assert 'Ablations varied 6.' in text


def test_a_probe_lists_only_the_settings_that_it_uses(probed):
    assert 'probe.passes' in read(probed).table('Settings')
    assert not [name for name in read(probed).table('Settings') if name.startswith('variant.')]


def test_calibration_is_that_of_the_logits(full):
    arrays = np.load(full / 'artifacts' / 'evaluation.npz')
    logits, labels, temperature = (arrays[name] for name in ('logits', 'labels', 'temperature'))
    before, after = (
        classification.calibration_error(scores, labels)
        for scores in (logits, logits / temperature)
    )
    assert f'from {words.percent(before)} to {words.percent(after)}' in read(full).text


def test_a_split_at_random_and_a_quick_run_are_warned_of(full, odd):
    for sentence in (
        'This is a smoke run',
        'This split is random',
        'This random split overestimates',
    ):
        assert sentence in read(odd).text
        assert sentence not in read(full).text


def test_the_card_and_how_to_predict(full):
    page = read(full)
    card = page.table('Model card')
    assert card['Licence of the weights'][0].startswith('unknown')
    assert 'the network is under model. (161 tensors)' in card['Initial weights'][0]
    assert '--mode=predict --checkpoint=grocery --images=DIR --output=predictions.csv' in page.text
    assert 'submission.csv, 2,485 rows' in page.text
    assert page.table('Time')['data loading, share of training time'] == [words.percent(0.031)]


def test_no_folder_of_the_machine_is_disclosed(full, odd):
    for name, workdir in itertools.product(('report.html', 'report.md'), (full, odd)):
        assert '/home' not in (workdir / name).read_text()


def test_the_same_workdir_gives_the_same_bytes(odd, tmp_path):
    before = {path: path.read_bytes() for path in odd.rglob('*') if path.is_file()}
    report.build(odd)
    assert before == {path: path.read_bytes() for path in odd.rglob('*') if path.is_file()}


@pytest.mark.system
def test_the_report_needs_no_jax(tmp_path):
    leave_out = ('evaluation.npz', 'mistakes.npz', 'evidence.json', 'probe.csv')
    workdir = finetune_workdirs.make(
        tmp_path / 'run', classes=HOSTILE, images=10, leave_out=leave_out
    )
    code = (
        'import sys, pathlib; from jaxdl import report; report.build(pathlib.Path(sys.argv[1]));'
        'assert not {"jax", "flax", "optax"} & set(sys.modules)'
    )
    subprocess.run([sys.executable, '-W', 'error', '-c', code, str(workdir)], check=True)


def _cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def _json(**changes):
    def change(path):
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def _arrays(**changes):
    def change(path):
        arrays = dict(np.load(path))
        folder.write_arrays(
            path, {name: changes.get(name, lambda x: x)(value) for name, value in arrays.items()}
        )

    return change


BROKEN = {
    'cut archive': ('artifacts/evaluation.npz', _cut),
    'cut pictures': ('artifacts/mistakes.npz', _cut),
    'cut maps': ('artifacts/gradcam.npz', _cut),
    'cut grid': ('artifacts/probe.csv', _cut),
    'cut results': ('results.csv', _cut),
    'cut split': ('artifacts/split.json', _cut),
    'cut evidence': ('artifacts/evidence.json', _cut),
    'evidence of another form': ('artifacts/evidence.json', lambda path: path.write_text('{}')),
    'evidence without a field': (
        'artifacts/evidence.json',
        lambda path: path.write_text('[{"verdict": "better"}]'),
    ),
    'labels beyond the classes': ('artifacts/evaluation.npz', _arrays(labels=lambda x: x + 99)),
    'labels that are no numbers': (
        'artifacts/evaluation.npz',
        _arrays(labels=lambda x: x.astype(str)),
    ),
    'fewer groups': ('artifacts/evaluation.npz', _arrays(group=lambda x: x[1:])),
    'the probe beyond the classes': (
        'artifacts/evaluation.npz',
        _arrays(probe_predicted=lambda x: x + 99),
    ),
    'fewer labels': ('artifacts/evaluation.npz', _arrays(labels=lambda x: x[:-1])),
    'other classes': ('artifacts/evaluation.npz', _arrays(logits=lambda x: x[:, :-1])),
    'grey pictures': ('artifacts/mistakes.npz', _arrays(images=lambda x: x[..., :1])),
    'maps of another size': ('artifacts/gradcam.npz', _arrays(maps=lambda x: x[:, 1:])),
    'doubt without numbers': ('artifacts/split.json', _json(doubt=[{'split': 'at random'}])),
    'no scores': ('run.json', _json(scores={})),
    'no classes': ('plan.json', _json(data={'name': 'x'})),
    'not finished': ('run.json', _json(finished=False)),
}


@pytest.mark.parametrize('name', BROKEN)
def test_bad_input_is_reported_in_one_line_and_changes_nothing(name, tmp_path, undrawn):
    workdir = finetune_workdirs.make(tmp_path / 'run', classes=HOSTILE, images=20)
    file, change = BROKEN[name]
    change(workdir / file)
    with pytest.raises(InputError) as caught:
        report.build(workdir)
    assert '\n' not in str(caught.value)
    assert 'run' in str(caught.value)
    assert not (workdir / 'report.html').exists()


def test_a_probe_is_scored_on_the_test_images_where_there_are_some(tmp_path, undrawn):
    workdir = finetune_workdirs.make(
        tmp_path / 'run', stages=('probe',), classes=HOSTILE, images=30
    )
    path = workdir / 'artifacts' / 'evaluation.npz'
    arrays = dict(np.load(path))
    keep = np.arange(30) < 20
    tested = {name: arrays[name][keep] for name in ('logits', 'labels', 'ids', 'group')}
    folder.write_arrays(path, arrays | tested | dict(split=np.array('test')))
    report.build(workdir)
    accuracy = classification.scores(tested['logits'], tested['labels'])['accuracy']
    text = read(workdir).text
    groups = words.count(len(set(tested['group'])), 'group')
    assert f'on 20 test images in {groups}: {words.percent(accuracy)}' in text
    assert 'Probe (validation images)' in text
    assert 'on other images than it was fitted on' in text


def test_no_image_at_all_is_no_damage(tmp_path, undrawn):
    workdir = finetune_workdirs.make(tmp_path / 'run', classes=HOSTILE, images=20)
    for file in ('mistakes', 'gradcam'):
        _arrays(**{name: lambda x: x[:0] for name in reading.GRADCAM})(
            workdir / 'artifacts' / f'{file}.npz'
        )
    report.build(workdir)
    assert not {'Most confident mistakes', 'Grad-CAM'} & set(headings(workdir))


def test_the_table_of_a_probe_reads_back(full):
    """The columns that this report reads are those of the file."""
    with (full / 'artifacts' / 'probe.csv').open() as stream:
        assert next(csv.reader(stream)) == list(reading.PROBE)
