"""Files of an evaluation: the same numbers as on the terminal, whole matrices, no overwriting."""

import csv
import json

import numpy as np
import pytest
import tiny
from sklearn import metrics

from jaxdl import main as command
from jaxdl.inference.predictor import Predictor


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    return tiny.workdir(tmp_path_factory.mktemp('run'))


def read(path):
    with path.open(newline='', encoding='utf-8') as file:
        return list(csv.reader(file))


def call(run, *arguments):
    return command.main(
        ['--mode=evaluate', f'--checkpoint={run}', '--dataset=folder:in', *arguments]
    )


def test_files_of_an_evaluation(run, tmp_path, capsys):
    images = tiny.images(12)
    labels = [i % 2 for i in range(12)]  # none of the third class
    for i, image in enumerate(images):
        tiny.files(tmp_path / 'in' / tiny.CLASSES[labels[i]], [image], [f'{i}.png'])
    tiny.files(tmp_path / 'in' / 'other', images[:2])
    assert call(run, '--output=out') == 0
    out = capsys.readouterr().out
    names = Predictor.from_checkpoint(run).predict(images).class_names
    predicted = [tiny.CLASSES.index(name) for name in names]
    matrix = metrics.confusion_matrix(labels, predicted, labels=range(3))
    header, *rows = read(tmp_path / 'out' / 'confusion.csv')
    assert header == ['class', *tiny.CLASSES]
    assert [row[0] for row in rows] == list(tiny.CLASSES)
    np.testing.assert_array_equal([list(map(int, row[1:])) for row in rows], matrix)
    scores = metrics.precision_recall_fscore_support(
        labels, predicted, labels=range(3), zero_division=0
    )
    header, *rows = read(tmp_path / 'out' / 'per_class.csv')
    assert header == ['class', 'precision', 'recall', 'f1', 'support', 'predicted']
    for i, row in enumerate(rows):
        values = dict(zip(header, row, strict=True))
        assert int(values['support']) == scores[3][i]
        assert values['recall'] == ('' if not scores[3][i] else str(scores[1][i]))
        assert float(values['f1']) == pytest.approx(scores[2][i])
    record = json.loads((tmp_path / 'out' / 'metrics.json').read_text())
    assert record['images'] == 12
    assert record['metrics']['accuracy'] == pytest.approx(np.mean(np.equal(labels, predicted)))
    assert any('classes that the checkpoint lacks: 1 (other)' in note for note in record['notes'])
    by_name = dict(read(tmp_path / 'out' / 'metrics.csv')[1:])
    assert {name: float(value) for name, value in by_name.items()} == record['metrics']
    for name, value in record['metrics'].items():
        assert f'{name:12} {value:.4f}' in out
    assert f'per_class.csv: {"out/per_class.csv"}' in out


def test_files_are_not_overwritten(run, tmp_path, capsys):
    for i, name in enumerate(tiny.CLASSES):
        tiny.files(tmp_path / 'in' / name, tiny.images(1, seed=i))
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'metrics.csv').write_text('mine')
    assert call(run, '--output=out') == 2
    assert 'metrics.csv exists: name another --output, or --overwrite' in capsys.readouterr().err
    assert call(run, '--output=out', '--overwrite') == 0
    assert call(run, '--output=in/apple/0.png/x') == 2
    assert 'is not a writable folder' in capsys.readouterr().err
