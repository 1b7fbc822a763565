"""Experiments of pretrained networks by command, on a folder as in the food challenge."""

import csv

import finetunes
import jax
import numpy as np
import pytest
import tiny

import jaxdl
from jaxdl.config.load import load_experiment
from jaxdl.errors import InputError
from jaxdl.inference import batched
from jaxdl.main import main
from jaxdl.models import ARCHITECTURES
from jaxdl.runtime import out_of_memory
from jaxdl.workdir import tables

COUNT = 36


@pytest.fixture(scope='module')
def food(tmp_path_factory):
    """Photographs of three classes with their tables, and the weights of a small network."""
    top = tmp_path_factory.mktemp('food')
    finetunes.weights(top, ARCHITECTURES['resnet20'])
    for part, count in (('train', COUNT), ('test', 5)):
        pictures = tiny.images(count, 40, 48, seed=count)
        pictures[np.arange(count), :, :, np.arange(count) % 3] |= 128  # which is the class
        files = tiny.files(top / f'{part}_images', pictures)
        classes = [(path.name, tiny.CLASSES[i % 3]) for i, path in enumerate(files)]
        with (top / f'{part}.csv').open('w', newline='') as file:
            named = dict(train=['ImageId', 'ClassName'], test=['ImageId'])[part]
            csv.writer(file).writerows([named, *(row[: len(named)] for row in classes)])
    return top


def call(food, name, *more):
    flags = [
        f'--dataset=foodc:{food}',
        f'--set=weights={food / "weights.npz"}',
        '--quick',
        '--workdir=run',
    ]
    return main([f'--experiment={name}', *flags, *more])


@pytest.mark.parametrize('name', ['probe', 'challenge'])  # `finetune` differs in its data alone
def test_every_experiment_is_loaded_shrunk_and_run(food, tmp_path, name, capsys):
    assert call(food, name) == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    assert 'submission: run/submission.csv, 5 images' in out
    assert out.count('accuracy') == (1 if name == 'probe' else 2)
    rows = (tmp_path / 'run' / 'submission.csv').read_text().splitlines()
    assert rows[0] == 'ClassName'
    predictor = jaxdl.Predictor.from_checkpoint('run')
    again = predictor.predict([food / 'test_images' / f'{i}.png' for i in range(5)])
    assert [next(csv.reader([row])) for row in rows[1:]] == [
        [class_name] for class_name in again.class_names
    ]
    assert main([f'--experiment={name}', '--mode=report', '--workdir=run']) == 0


@pytest.mark.parametrize(
    ('name', 'option'), [('finetune_recipe', 'last stage'), ('finetune_augmentation', 'cutmix')]
)
def test_every_ablation_of_a_fine_tuning_is_loaded_shrunk_and_run(food, tmp_path, name, option):
    study = load_experiment(name)
    assert study.question.endswith('?')
    assert set(study.why) == set(study.options)
    assert call(food, name, f'--options={option}') == 0
    rows = tables.read_table(tmp_path / 'run' / 'summary.csv', tables.SUMMARY)
    assert [row['option'] for row in rows] == [study.baseline, option]
    assert 'no evidence' in (tmp_path / 'run' / 'report.md').read_text()


def test_a_table_that_names_missing_images_trains_nothing(food, tmp_path, capsys):
    (food / 'test_images' / '3.png').rename(food / 'test_images' / 'elsewhere.png')
    try:
        assert call(food, 'probe') == 2
    finally:
        (food / 'test_images' / 'elsewhere.png').rename(food / 'test_images' / '3.png')
    *notes, error = capsys.readouterr().err.splitlines()
    assert '3.png' in error
    assert not [line for line in notes if 'error' in line]
    assert not (tmp_path / 'run').exists()


def test_out_of_memory_is_reported_in_one_line():
    words = 'out of memory with batch_size=32 at 160 px: a smaller batch_size'
    with (
        pytest.raises(InputError, match=words) as caught,
        out_of_memory.convert_memory_errors('batch_size=32 at 160 px', out_of_memory.TRAINING),
    ):
        raise jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: Out of memory allocating 9999 bytes.')
    assert '\n' not in str(caught.value)


def test_a_batch_to_name_that_does_not_fit_is_an_error_of_one_line():
    def refuses(batch):
        raise jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: Out of memory allocating 9999 bytes.')

    with pytest.raises(
        InputError, match='out of memory with 4 images at a time: a smaller batch_size'
    ):
        list(batched.map_batches(refuses, [np.zeros((4, 2, 2, 3), np.uint8)], 4))


def test_another_error_of_a_program_is_no_lack_of_memory():
    with (
        pytest.raises(jax.errors.JaxRuntimeError, match='something'),
        out_of_memory.convert_memory_errors('', ''),
    ):
        raise jax.errors.JaxRuntimeError('INTERNAL: something')
