"""Labels that are wrong on purpose: found out of fold, listed, in the report, and on resumption."""

import csv
import dataclasses

import finetunes
import numpy as np
import pytest

from jaxdl import workdir
from jaxdl.data import bursts
from jaxdl.errors import InputError
from jaxdl.finetune import label_issues
from jaxdl.finetune import run as finetune

FLIPPED = (5, 14, 20, 33)


@pytest.fixture(scope='module')
def experiment(tiny_network, tmp_path_factory):
    """A probe of images of three colours, some with the label of another."""
    top = tmp_path_factory.mktemp('issues')
    finetunes.weights(top)
    labels = np.arange(60) % finetunes.CLASSES
    pixels = np.random.default_rng(0).integers(0, 40, (60, finetunes.SIDE, finetunes.SIDE, 3))
    pixels[np.arange(60), :, :, labels] += 180
    labels[list(FLIPPED)] = (labels[list(FLIPPED)] + 1) % finetunes.CLASSES
    np.savez(top / 'images.npz', images=pixels.astype(np.uint8), labels=labels)
    probe = dict(passes=40, learning_rates=(0.3,), label_folds=3)
    return finetunes.experiment(top, stages=('probe',), probe=probe)


@pytest.fixture(scope='module')
def run(experiment, tmp_path_factory):
    folder = tmp_path_factory.mktemp('run') / 'run'
    finetune.run(experiment, folder)
    return folder


def read(folder):
    with (folder / 'label_issues.csv').open(newline='') as file:
        return list(csv.DictReader(file))


def test_wrong_labels_are_listed_with_the_class_that_they_probably_have(run):
    rows = read(run)
    assert list(rows[0]) == list(label_issues.COLUMNS)
    listed = {row['image']: row for row in rows}
    flipped = [i for i in FLIPPED if str(i) in listed]
    # An image below the mean probability of its class is not listed: the formula is cautious.
    assert len(flipped) >= 2
    assert {row['image'] for row in rows[:2]} <= {str(i) for i in FLIPPED}
    for i in flipped:
        row = listed[str(i)]
        assert (row['label'], row['suggested']) == (str((i + 1) % 3), str(i % 3))
        assert float(row['probability_of_suggested']) > float(row['probability_of_label'])
    facts = workdir.read_json(run / 'artifacts' / 'label_issues.json')
    assert facts | dict(examined=60, issues=len(rows), left_out=0, folds=3) == facts
    assert 0 < facts['share'] < 0.2
    pictures = np.load(run / 'artifacts' / 'label_issues.npz')
    assert pictures['ids'].tolist() == [row['image'] for row in rows][: label_issues.SHOWN]
    report = (run / 'report.md').read_text()
    assert 'Possible label errors' in report
    assert 'label_issues.csv' in report


def test_every_image_is_predicted_by_heads_without_its_group(run, experiment, monkeypatch):
    """No fold's head trains on an image of a group that it predicts."""
    fitted = []
    labels = np.arange(12) % 3
    dataset = type('D', (), dict(labels=labels, groups=tuple('aabbccddeeff'), ids=range(12)))()
    features = np.zeros((12, 1, 2), np.float32)
    splits = type('S', (), dict(train=np.arange(8), val=np.arange(8, 12)))()
    stand_in = type(
        'R',
        (),
        dict(
            dataset=dataset,
            splits=splits,
            features=features,
            experiment=experiment,
            class_names=('x', 'y', 'z'),
            seed=0,
        ),
    )()
    head = dict(kernel=np.zeros((2, 3), np.float32), bias=np.zeros(3, np.float32))
    monkeypatch.setattr(
        label_issues.probe,
        'fit_head',
        lambda e, d, splits, *rest, **k: fitted.append(splits) or head,
    )
    predicted = label_issues.predict_out_of_fold(stand_in, None)
    assert sorted(predicted.indices) == list(range(12))
    assert sorted(np.concatenate([s.val for s in fitted])) == list(range(12))
    for s in fitted:
        assert not {dataset.groups[i] for i in s.train} & {dataset.groups[i] for i in s.val}


def test_a_class_in_one_fold_only_is_not_examined(run, experiment, monkeypatch):
    folds = [np.arange(4), np.arange(4, 8), np.arange(8, 12)]
    monkeypatch.setattr(bursts, 'folds', lambda *rest: folds)
    labels = np.array([0, 0, 1, 1, 0, 1, 0, 1, 2, 2, 0, 1])
    stand_in = type(
        'R',
        (),
        dict(
            dataset=type('D', (), dict(labels=labels, groups=tuple('abcdefghijkl'), ids=()))(),
            splits=type('S', (), dict(train=np.arange(8), val=np.arange(8, 12)))(),
            features=np.zeros((12, 1, 2), np.float32),
            experiment=experiment,
            class_names=('x', 'y', 'z'),
            seed=0,
        ),
    )()
    head = dict(kernel=np.zeros((2, 3), np.float32), bias=np.zeros(3, np.float32))
    monkeypatch.setattr(label_issues.probe, 'fit_head', lambda *rest, **k: head)
    predicted = label_issues.predict_out_of_fold(stand_in, None)
    assert predicted.left_out == 2
    assert sorted(predicted.indices) == [*range(8), 10, 11]


def test_a_missing_list_is_made_again(run, experiment, capsys):
    before = (run / 'label_issues.csv').read_bytes()
    (run / 'label_issues.csv').unlink()
    finetune.run(experiment, run)
    assert (run / 'label_issues.csv').read_bytes() == before


def test_without_folds_nothing_is_examined(experiment, tmp_path):
    with pytest.raises(InputError, match='label_folds=1: must be 0, or at least 2'):
        finetunes.check(
            dataclasses.replace(
                experiment, probe=dataclasses.replace(experiment.probe, label_folds=1)
            )
        )
