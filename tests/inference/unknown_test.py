"""Images of no known class: predictions.csv, submissions, the server, and checkpoints without."""

import csv
import pathlib

import numpy as np
import pytest
import tiny

from jaxdl import main as command
from jaxdl.errors import InputError
from jaxdl.inference import submission
from jaxdl.inference.predictor import Predictor
from jaxdl.inference.serving.neighbours import Neighbours
from jaxdl.inference.serving.service import Classifier
from jaxdl.inference.serving.settings import ServeSettings
from jaxdl.statistics import rejection


@pytest.fixture(scope='module')
def top(tmp_path_factory):
    """A checkpoint whose validation images are those of the folder `in`."""
    top = tmp_path_factory.mktemp('unknown')
    tiny.files(top / 'in', tiny.images(8), [f'{i}.png' for i in range(8)])
    rows = Predictor.from_checkpoint(tiny.workdir(top / 'without')).predict(tiny.images(8))
    tiny.workdir(top / 'run', confidences=rejection.confidence_quantiles(rows.probabilities))
    return top


def predict(top, *arguments, run='run'):
    return command.main(
        [
            '--mode=predict',
            f'--checkpoint={top / run}',
            f'--images={top / "in"}',
            '--output=p.csv',
            *arguments,
        ]
    )


def read(path='p.csv'):
    with pathlib.Path(path).open(newline='', encoding='utf-8') as file:
        return list(csv.reader(file))[1:]


@pytest.mark.parametrize('probabilities', submission.PROBABILITIES)
def test_the_least_sure_images_are_unknown(top, probabilities, capsys):
    assert predict(top, f'--set=probabilities={probabilities}') == 0
    plain = read()
    assert predict(top, '--set=unknown=0.75', f'--set=probabilities={probabilities}') == 0
    rows = read()
    confidence = Predictor.from_checkpoint(top / 'run').predict(tiny.images(8)).probabilities.max(1)
    unsure = set(np.argsort(confidence)[:2].tolist())
    assert {i for i, row in enumerate(rows) if row[1] == 'unknown'} == unsure
    assert '2 images are unknown' in capsys.readouterr().out
    for i, (row, before) in enumerate(zip(rows, plain, strict=True)):
        if i not in unsure:
            assert row == before
        elif probabilities == 'all':
            assert row[2:] == before[2:]
        else:  # the likeliest class is the second
            assert row[2] == ''
            assert row[3:] == before[1 : len(row) - 2]


def test_a_submission_names_a_class_for_every_image(top, tmp_path, capsys):
    sample = [f'{i}.png,apple' for i in range(8)]
    (tmp_path / 'sample.csv').write_text('\n'.join(('id,label', *sample)))
    assert predict(top, '--set=unknown=0.75', '--set=submission=sample.csv') == 0
    assert 'the likeliest class for images that are unknown' in capsys.readouterr().out
    assert {row[1] for row in read('submission.csv')} <= set(tiny.CLASSES)


@pytest.mark.parametrize(
    ('run', 'changes', 'words'),
    [
        ('without', {}, 'no probabilities of validation images'),
        ('named', dict(class_names=('unknown', 'b', 'c')), 'a class is called unknown'),
    ],
)
def test_checkpoints_that_cannot_say(top, run, changes, words, capsys):
    if changes:
        confidences = rejection.confidence_quantiles(np.eye(3))
        tiny.workdir(top / run, confidences=confidences, **changes)
    assert predict(top, '--set=unknown=0.9', run=run) == 2
    assert words in capsys.readouterr().err
    assert predict(top, run=run) == 0


def test_shares_beyond_one_are_refused(top, capsys):
    assert predict(top, '--set=unknown=1.5') == 2
    assert 'unknown' in capsys.readouterr().err


def test_the_server_says_unknown(top):
    predictor = Predictor.from_checkpoint(top / 'run')
    confidence = predictor.predict(tiny.images(8)).probabilities.max(1)
    classifier = Classifier(predictor, Neighbours(missing='none'), ServeSettings(unknown=0.75))
    for i in (int(confidence.argmin()), int(confidence.argmax())):
        result = classifier.classify((top / 'in' / f'{i}.png').read_bytes())
        assert result['unknown'] == (i == confidence.argmin())
    without = Predictor.from_checkpoint(top / 'without')
    with pytest.raises(InputError, match='no probabilities of validation images'):
        Classifier(without, Neighbours(missing='none'), ServeSettings(unknown=0.75))
