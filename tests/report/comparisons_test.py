"""Comparisons of options with each other, recomputed here from results.csv."""

import collections

import numpy as np
import pytest
import studies
import workdirs
from scipy import stats

import jaxdl
from jaxdl import report, statistics
from jaxdl.report.page import words
from jaxdl.workdir import tables

PAIRS = (('avg', 'l2'), ('avgmax', 'l2'))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp('pairs') / 'run'
    workdirs.make(path, options=workdirs.first(4), epochs=2, rates=[0.1], comparisons=PAIRS)
    report.build(path)
    return path


def test_pairs_and_comparisons_with_the_baseline_are_one_family(folder):
    values = collections.defaultdict(dict)
    for row in tables.read_results(folder / 'results.csv'):
        if (row['phase'], row['split'], row['metric']) == ('measure', 'test', 'accuracy'):
            values[row['option']][row['seed']] = row['value']  # the last epoch
    arrays = {option: np.array(list(of.values())) for option, of in values.items()}
    summary = tables.read_table(folder / 'summary.csv', tables.SUMMARY)
    pairs = tables.read_table(folder / 'tables' / 'comparisons.csv', tables.COMPARISONS)
    assert [row['option'] for row in summary] == ['max', 'avg', 'avgmax', 'l2']
    assert tuple((row['option'], row['baseline']) for row in pairs) == PAIRS
    rows = [*summary[1:], *pairs]
    tests = [stats.ttest_rel(arrays[row['option']], arrays[row['baseline']]) for row in rows]
    assert [row['p_value'] for row in rows] == pytest.approx([test.pvalue for test in tests])
    adjusted = statistics.holm([test.pvalue for test in tests])
    assert [row['p_holm'] for row in rows] == pytest.approx(adjusted)
    assert len({row['verdict'] for row in rows}) > 1
    for row in pairs:
        excludes = row['corrected_low'] > 0 or row['corrected_high'] < 0
        assert excludes == (row['p_holm'] < 0.05) == (row['verdict'] != 'no difference found')


def test_the_report_has_a_section_of_pairs(folder):
    text = (folder / 'report.md').read_text(encoding='utf-8').replace(words.SPACE, ' ')
    assert 'Further comparisons' in text
    assert '3 comparisons with the baseline and 2 of options with each other' in text
    assert "Holm's correction for 5 comparisons" in text


def test_a_run_and_its_report_write_the_same_summary(tmp_path, monkeypatch):
    study = jaxdl.override(
        studies.initialisations(), {'comparisons': [['zeros', 'glorot_normal']], 'seeds': 3}
    )
    with monkeypatch.context() as patch:
        patch.setattr(report, 'build', lambda _: None)
        results = jaxdl.run(study, tmp_path / 'run')
    before = (tmp_path / 'run' / 'summary.csv').read_bytes()
    report.build(tmp_path / 'run')
    assert (tmp_path / 'run' / 'summary.csv').read_bytes() == before
    (pair,) = tables.read_table(tmp_path / 'run' / 'tables' / 'comparisons.csv', tables.COMPARISONS)
    p_values = [row['p_value'] for row in results.summary[1:]] + [pair['p_value']]
    expected = statistics.holm(p_values)[:2]
    assert [row['p_holm'] for row in results.summary[1:]] == pytest.approx(expected)
