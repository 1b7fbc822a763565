"""Images on which options differ: the largest differences, their counts and their pixels."""

import numpy as np
import pytest
import studies

from jaxdl import workdir
from jaxdl.ablation import artifacts
from jaxdl.ablation.planning import Condition
from jaxdl.data import Dataset
from jaxdl.statistics import protocol
from jaxdl.workdir.correct import CorrectTable

SEEDS, IMAGES = 4, 40
SHAPE = (IMAGES + 20, 6, 5, 1)


def condition(images: np.ndarray) -> Condition:
    names = tuple(f'image {i}' for i in range(len(images)))
    labels = np.arange(len(images), dtype=np.int32) % 3
    dataset = Dataset('made', '', images, labels, names, ('a', 'b', 'c'))
    return Condition('', studies.small(), dataset, {}, ())


def correctness(differing: int = 30) -> CorrectTable:
    """Runs of `max` and `avg` on images 10 to 49; some images differ, in random seeds."""
    rng = np.random.default_rng(0)
    values = rng.random((2, SEEDS, IMAGES)) < 0.7
    values[1, :, differing:] = values[0, :, differing:]
    names = np.array([f'image {i}' for i in range(10, 10 + IMAGES)])
    return CorrectTable(
        correct=values.reshape(2 * SEEDS, IMAGES),
        tested=np.ones((2 * SEEDS, IMAGES), bool),
        image=names,
        condition=np.array([''] * 2 * SEEDS),
        option=np.repeat(['avg', 'max'], SEEDS),
        seed=np.tile(np.arange(1000, 1000 + SEEDS), 2),
        group=names,
    )


def written(folder, images, correct) -> dict[str, np.ndarray]:
    by_image = protocol.correctness([], correct, '', 3)
    artifacts.write_differing(folder, condition(images), correct, by_image)
    path = folder / 'differing.npz'
    return workdir.read_arrays(path) if path.exists() else {}


@pytest.fixture
def images():
    return np.random.default_rng(1).integers(0, 256, SHAPE, np.uint8)


def test_the_largest_differences_come_first(images, tmp_path):
    correct = correctness()
    arrays = written(tmp_path, images, correct)
    assert list(arrays['option']) == ['max', 'avg']
    assert len(arrays['id']) == artifacts.MOST_IMAGES
    counts = {name: correct.by_seed('', name)[1].sum(0) for name in ('max', 'avg')}
    net = dict(zip(correct.image, np.abs(counts['max'] - counts['avg']), strict=True))
    shown = [net[name] for name in arrays['id']]
    assert shown == sorted(shown, reverse=True)
    assert min(shown) >= max(net[name] for name in correct.image if name not in arrays['id'])
    differ = correct.by_seed('', 'max')[1] != correct.by_seed('', 'avg')[1]
    assert arrays['differing'] == differ.any(0).sum()


def test_counts_classes_and_pixels_are_those_of_the_image(images, tmp_path):
    correct = correctness()
    arrays = written(tmp_path, images, correct)
    for i, name in enumerate(arrays['id']):
        row, column = int(name.split()[1]), list(correct.image).index(name)
        np.testing.assert_array_equal(arrays['images'][i], images[row])
        assert arrays['label'][i] == 'abc'[row % 3]
        for option, count in zip(arrays['option'], arrays['correct'][:, i], strict=True):
            assert count == correct.by_seed('', option)[1][:, column].sum()
    assert (arrays['tested'] == SEEDS).all()


def test_the_same_run_gives_the_same_bytes(images, tmp_path):
    for name in ('one', 'two'):
        written(tmp_path / name, images, correctness())
    one, two = ((tmp_path / name / 'differing.npz').read_bytes() for name in ('one', 'two'))
    assert one == two


def test_few_images_are_all_shown_and_none_gives_no_file(images, tmp_path):
    arrays = written(tmp_path / 'few', images, correctness(differing=5))
    assert 0 < len(arrays['id']) == arrays['differing'] <= 5
    assert written(tmp_path / 'none', images, correctness(differing=0)) == {}


@pytest.mark.parametrize('shape', [(1, 1, 2), (1, 1, 30), (3, 60, 1), (8, 8, 2)])
def test_data_that_are_no_pictures_give_no_file(shape, tmp_path):
    assert written(tmp_path, np.ones((IMAGES + 20, *shape), np.float32), correctness()) == {}


@pytest.mark.parametrize('side', [128, 129, 224, 300])
def test_large_images_are_averaged_down(side, tmp_path):
    values = np.random.default_rng(2).integers(0, 256, (IMAGES + 20, side, 130, 3), np.uint8)
    arrays = written(tmp_path, values, correctness())
    step = -(-max(side, 130) // artifacts.MOST_SIDE)
    assert arrays['images'].shape[1:] == (side // step, 130 // step, 3)
    row = int(arrays['id'][0].split()[1])
    block = values[row, :step, step : 2 * step].reshape(-1, 3).mean(0)
    np.testing.assert_allclose(arrays['images'][0, 0, 1], block, atol=0.5)


def test_images_of_real_numbers_fill_the_range_of_grey(tmp_path):
    values = np.random.default_rng(3).normal(0, 5, SHAPE).astype(np.float32)
    shown = written(tmp_path, values, correctness())['images']
    assert (shown.min(), shown.max()) == (0, 255)
