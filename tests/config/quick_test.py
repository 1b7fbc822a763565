"""--quick of a fine-tuning, for data sets of any number of classes."""

import dataclasses

import numpy as np
import pytest

from jaxdl.config.load import load_experiment
from jaxdl.config.overrides import check, override, quick
from jaxdl.data import load, split


@pytest.mark.parametrize('experiment', ['probe', 'finetune', 'challenge'])
@pytest.mark.parametrize('classes', [2, 50, 67, 81, 200])
def test_every_class_is_in_every_split(experiment, classes, tmp_path):
    labels = np.repeat(np.arange(classes), 12)
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8, 3), np.uint8)
    np.savez(tmp_path / 'images.npz', images=images, labels=labels)
    study = override(quick(load_experiment(experiment)), dict(dataset=f'npz:{tmp_path}/images.npz'))
    data = dataclasses.replace(check(study).data, split='stratified', fractions=(0.6, 0.2, 0.2))
    dataset = load(data)
    splits = split(dataset, data)
    assert len(dataset.labels) <= max(200, 4 * classes)
    for indices in (splits.train, splits.val, splits.test):
        assert set(dataset.labels[indices]) == set(range(classes))
