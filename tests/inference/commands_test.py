"""Modes for a checkpoint: tables, no overwritten file of the user, one line per error."""

import csv

import numpy as np
import pytest
import tiny
from PIL import Image

from jaxdl import main as command
from jaxdl.data.sources import folder
from jaxdl.inference import model_file, submission, tta
from jaxdl.inference.predictor import Predictor


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A network that takes some of the images for every class."""
    logits = tta.log_probabilities(
        tiny.MODULE, [tiny.variables()], tiny.card(), tiny.images(48)[::3]
    )
    return tiny.workdir(
        tmp_path_factory.mktemp('run'), adjustment=np.asarray(logits).mean(0).tolist()
    )


def read(path):
    with path.open(newline='', encoding='utf-8') as file:
        return list(csv.reader(file))


def call(mode, run, *arguments):
    return command.main([f'--mode={mode}', f'--checkpoint={run}', *arguments])


def test_a_folder_is_predicted_sorted_and_to_its_depths(run, tmp_path, capsys):
    paths = tiny.files(tmp_path / 'in' / 'deep', tiny.images(3), ['z.png', 'a.png', 'm.PNG'])
    paths += tiny.files(tmp_path / 'in', tiny.images(1, seed=1), ['q.png'])
    (tmp_path / 'in' / 'notes.txt').touch()
    (tmp_path / 'in' / '.hidden.png').touch()
    assert call('predict', run, '--images=in', '--output=out/p.csv') == 0
    assert capsys.readouterr().out.startswith('4 predictions: out')
    header, *rows = read(tmp_path / 'out' / 'p.csv')
    assert header == list(submission.PREDICTIONS)
    assert [row[0] for row in rows] == ['deep/a.png', 'deep/m.PNG', 'deep/z.png', 'q.png']
    prediction = Predictor.from_checkpoint(run).predict([paths[i] for i in (1, 2, 0, 3)])
    assert [row[1] for row in rows] == prediction.class_names
    np.testing.assert_array_equal(
        np.float32([row[2] for row in rows]), prediction.probabilities.max(1)
    )
    assert rows[0][7:] == [''] * 4  # of three classes


def test_training_and_predict_take_the_same_files(run, tmp_path):
    for kind in ('cat', 'dog'):
        tiny.files(tmp_path / 'in' / kind / 'deep', tiny.images(2), ['a.png', 'b.PNG'])
        tiny.files(tmp_path / 'in' / kind / '.thumbnails', tiny.images(1), ['a.png'])
    tiny.files(tmp_path / 'in' / '__MACOSX', tiny.images(1), ['a.png'])
    tiny.files(tmp_path / 'elsewhere', tiny.images(1), ['c.png'])
    for link, target in (
        ('in/cat/linked', '../../elsewhere'),
        ('in/cat/d.png', '../../elsewhere/c.png'),
        ('in/cat/again', '../dog/deep'),
        ('in/dog/up', '..'),
        ('in/dog/gone.png', 'nowhere.png'),
    ):
        (tmp_path / link).symlink_to(target)
    assert call('predict', run, '--images=in', '--output=p.csv') == 0
    predicted = [row[0] for row in read(tmp_path / 'p.csv')[1:]]
    assert predicted == [
        *('cat/d.png', 'cat/deep/a.png', 'cat/deep/b.PNG', 'cat/linked/c.png'),
        *('dog/deep/a.png', 'dog/deep/b.PNG'),
    ]
    assert predicted == list(folder.folder('in').ids)


def test_a_challenge_gets_its_submission(run, tmp_path, capsys):
    tiny.files(
        tmp_path / 'data' / 'test_images', tiny.images(4), [f'{name}.png' for name in 'abcd']
    )
    (tmp_path / 'data' / 'test.csv').write_text('ImageId\nc.png\na.png\nd.png\nb.png\n')
    assert call('predict', run, '--images=data/test.csv', '--output=out/predictions.csv') == 0
    rows = read(tmp_path / 'out' / 'predictions.csv')[1:]
    assert [row[0] for row in rows] == ['c.png', 'a.png', 'd.png', 'b.png']
    assert read(tmp_path / 'out' / 'submission.csv') == [['ClassName'], *([row[1]] for row in rows)]
    assert 'submission: out' in capsys.readouterr().out
    (tmp_path / 'data' / 'test.csv').rename(tmp_path / 'data' / 'test_images' / 'mine.csv')
    assert call('predict', run, '--images=data/test_images/mine.csv', '--output=other/p.csv') == 0
    assert [path.name for path in (tmp_path / 'other').iterdir()] == ['p.csv']


def test_gradcam_pictures(run, tmp_path):
    images = tiny.images(4)
    tiny.files(tmp_path / 'in' / 'a', images, ['0.png', '1.png', '2.png', '3.png'])
    arguments = [
        '--images=in',
        '--output=p.csv',
        '--set=explain=true',
        '--set=batch_size=4',
        '--set=views=none',
    ]
    assert call('predict', run, *arguments) == 0
    pictures = sorted((tmp_path / 'p_explained').iterdir())
    assert [path.name for path in pictures] == [f'{i:05} a_{i}.png.png' for i in range(4)]
    overlays = np.stack([np.asarray(Image.open(path)) for path in pictures])
    maps = Predictor.from_checkpoint(run, 'none').gradcam(images)
    hot, cold = (overlays[mask].mean() / images[mask].mean() for mask in (maps > 0.9, maps < 0.1))
    assert hot > cold


def test_only_files_written_by_jaxdl_are_replaced(run, tmp_path, capsys):
    tiny.files(tmp_path / 'in', tiny.images(4))
    (tmp_path / 'p.csv').write_text('my own notes\n')
    arguments = ['--images=in', '--output=p.csv']
    assert call('predict', run, *arguments) == 2
    assert 'p.csv exists, and jaxdl did not write it' in capsys.readouterr().err
    assert (tmp_path / 'p.csv').read_text() == 'my own notes\n'
    assert call('predict', run, *arguments, '--overwrite') == 0
    written = (tmp_path / 'p.csv').read_bytes()
    assert call('predict', run, *arguments) == 0
    assert (tmp_path / 'p.csv').read_bytes() == written
    (tmp_path / 'in.csv').write_text('ImageId\nin/0.png\n')
    assert call('predict', run, '--images=in.csv', '--output=in.csv', '--overwrite') == 2
    assert (tmp_path / 'in.csv').read_text() == 'ImageId\nin/0.png\n'


def sorted_by_answer(run, top, images, names):
    """Files each image under its predicted class, in folders called `names`."""
    prediction = Predictor.from_checkpoint(run).predict(images)
    for i, (image, class_name) in enumerate(zip(images, prediction.class_names, strict=True)):
        tiny.files(top / names[tiny.CLASSES.index(class_name)], [image], [f'{i}.png'])
    return prediction


def test_evaluation_of_images_sorted_by_their_answers(run, tmp_path, capsys):
    images = tiny.images(48)
    prediction = sorted_by_answer(run, tmp_path / 'in', images, tiny.CLASSES)
    assert set(prediction.class_names) == set(tiny.CLASSES)
    assert call('evaluate', run, f'--dataset=folder:{tmp_path}/in', '--set=batch_size=16') == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert '48 images (all of it' in first
    scores = {name: float(value) for name, value in map(str.split, lines)}
    assert (scores['accuracy'], scores['top5'], scores['macro_f1']) == (1, 1, 1)
    assert scores['loss'] == pytest.approx(
        -np.log(prediction.probabilities.max(1)).mean(), abs=1e-4
    )  # with its temperature


def test_only_the_test_part_is_evaluated_where_there_is_one(run, tmp_path, capsys):
    images = tiny.images(48)
    sorted_by_answer(run, tmp_path / 'in' / 'test', images, tiny.CLASSES)
    for i, name in enumerate(tiny.CLASSES):
        tiny.files(tmp_path / 'in' / 'train' / name, tiny.images(5, seed=i + 1))
    assert call('evaluate', run, f'--dataset=folder:{tmp_path}/in', '--set=batch_size=16') == 0
    out = capsys.readouterr().out
    assert '48 images (its test split)' in out
    assert 'accuracy     1.0000' in out


def test_the_order_and_the_spelling_of_classes_may_differ(run, tmp_path, capsys):
    names = ['tea', 'apple', 'corn, boiled']
    adjustment = model_file.load(run).card.adjustment
    turned = tiny.workdir(tmp_path / 'turned', class_names=names, adjustment=adjustment)
    spelt = ['tea ', 'apple', 'corn,  boiled']
    sorted_by_answer(run, tmp_path / 'in', tiny.images(48), spelt)
    assert call('evaluate', turned, f'--dataset=folder:{tmp_path}/in', '--set=batch_size=16') == 0
    assert 'accuracy     1.0000' in capsys.readouterr().out


@pytest.mark.parametrize('top', ['in', 'in/test'])
def test_other_classes_are_named_and_the_rest_is_evaluated(run, tmp_path, capsys, top):
    prediction = sorted_by_answer(run, tmp_path / top, tiny.images(48), tiny.CLASSES)
    if top == 'in/test':
        tiny.files(tmp_path / 'in' / 'train' / 'apple', tiny.images(2), ['1.png', '2.png'])
        tiny.files(tmp_path / 'in' / 'train' / 'tea', tiny.images(2), ['1.png', '2.png'])
    (tmp_path / top / 'tea').rename(tmp_path / top / 'unknown')
    (tmp_path / top / 'tea').mkdir()
    count = prediction.class_names.count('tea')
    assert call('evaluate', run, '--dataset=folder:in', '--set=batch_size=16') == 0
    out = capsys.readouterr().out
    assert f'{48 - count} images' in out.splitlines()[0]
    assert 'Left out: classes that the checkpoint lacks: 1 (unknown)' in out
    assert f'Left out: images of these classes: {count} ' in out
    assert 'Classes of the checkpoint without an image: 1 (tea)' in out
    assert 'accuracy     1.0000' in out


def test_one_class_can_be_evaluated_and_none_cannot(run, tmp_path, capsys):
    sorted_by_answer(run, tmp_path / 'in', tiny.images(48), tiny.CLASSES)
    (tmp_path / 'in' / 'tea').rename(tmp_path / 'in' / 'coffee')
    (tmp_path / 'in' / 'apple').rename(tmp_path / 'apple')
    assert call('evaluate', run, '--dataset=folder:in', '--set=batch_size=16') == 0
    (tmp_path / 'in' / 'corn, boiled').rename(tmp_path / 'corn')
    assert call('evaluate', run, '--dataset=folder:in') == 2
    assert "the checkpoint lacks 1 class: 'coffee'; it has 'apple', " in capsys.readouterr().err


def test_one_network_is_exported(run, tmp_path, capsys, monkeypatch):
    from jaxdl.inference import export

    def name_only(model, output, size, formats):
        first, card = model.members[0]['params']['head']['bias'][0], model.card
        name = f'{model.module.num_classes} {size} {first:.4f} {card.experiment}'
        return [output / name], [f'as {formats[0]}']

    monkeypatch.setattr(export, 'export', name_only)
    bias = [tiny.variables(seed)['params']['head']['bias'][0] for seed in range(2)]
    assert call('export', run, '--output=out') == 0
    assert capsys.readouterr().out.splitlines() == [
        f'exported: out/3 32 {bias[0]:.4f} tiny',
        f'3 32 {bias[0]:.4f} tiny: as safetensors',
    ]
    both = tiny.workdir(tmp_path / 'both', members=2)
    assert call('export', both, '--output=out') == 2
    assert (
        'holds 2 networks, but one is exported at a time: --set=member=0 to 1'
        in capsys.readouterr().err
    )
    assert call('export', both, '--output=out', '--set=member=1', '--set=image_size=48') == 0
    assert f'3 48 {bias[1]:.4f} tiny' in capsys.readouterr().out
    assert call('export', both, '--output=out', '--set=format=onnx') == 0
    assert 'tiny: as onnx' in capsys.readouterr().out
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / export.FORMATS['stablehlo']).write_text('mine')
    assert call('export', run, '--output=out') == 2
    assert 'exists: name another --output, or --overwrite' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['predict'], '--mode=predict needs --checkpoint: give --checkpoint=WORKDIR'),
        (['predict', '--checkpoint=RUN'], 'needs --images'),
        (['predict', '--checkpoint=RUN', '--images=in'], 'needs --output'),
        (
            ['predict', '--checkpoint=nowhere', '--images=in', '--output=p.csv'],
            'checkpoint nowhere does not exist',
        ),
        (
            ['predict', '--checkpoint=RUN', '--images=nowhere', '--output=p.csv'],
            'no such file or folder',
        ),
        (
            ['predict', '--checkpoint=RUN', '--images=empty', '--output=p.csv'],
            'the folder holds no images',
        ),
        (
            ['predict', '--checkpoint=RUN', '--images=in', '--output=empty'],
            'is a folder: name a file',
        ),
        (
            ['predict', '--checkpoint=RUN', '--images=in', '--output=in/0.png/p.csv'],
            'is not a writable folder',
        ),
        (
            ['predict', '--checkpoint=RUN', '--images=broken', '--output=p.csv'],
            '0.png (not an image of a known format)',
        ),
        (
            ['predict', '--checkpoint=RUN', '--images=in', '--output=p.csv', '--set=batchsize=3'],
            "unknown setting 'batchsize' of --mode=predict: did you mean batch_size?",
        ),
        (
            ['predict', '--checkpoint=RUN', '--images=in', '--output=p.csv', '--set=batch_size=0'],
            'batch_size=0',
        ),
        (
            ['predict', '--checkpoint=RUN', '--images=in', '--output=p.csv', '--set=views=flips'],
            'did you mean flip',
        ),
        (
            ['predict', '--checkpoint=RUN', '--images=in', '--output=p.csv', '--set=explain=yes'],
            'true or false',
        ),
        (
            ['predict', '--checkpoint=RUN', '--images=test.csv', '--output=submission.csv'],
            'name another file',
        ),
        (['evaluate', '--checkpoint=RUN'], 'needs --dataset'),
        (['evaluate', '--checkpoint=RUN', '--dataset=digits'], 'lacks 10 classes'),
        (
            ['evaluate', '--checkpoint=RUN', '--dataset=digits', '--set=subsets=3'],
            'did you mean subset',
        ),
        (
            ['evaluate', '--checkpoint=RUN', '--dataset=digits', '--set=image_size=3'],
            "unknown setting 'image_size'",
        ),
        (['export', '--checkpoint=RUN', '--output=out', '--set=member=3'], 'holds 1 networks'),
    ],
)
def test_bad_input(run, tmp_path, capsys, arguments, words):
    tiny.files(tmp_path / 'in', tiny.images(1))
    (tmp_path / 'empty').mkdir()
    tiny.files(tmp_path / 'broken', tiny.images(1))[0].write_bytes(b'nothing')
    (tmp_path / 'test.csv').write_text('ImageId\nin/0.png\n')
    before = sorted(tmp_path.rglob('*'))
    mode, *rest = (argument.replace('RUN', str(run)) for argument in arguments)
    assert command.main([f'--mode={mode}', *rest]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count('\n')) == ('', 1)
    assert err.startswith('jaxdl: error: ')
    assert words in err
    assert sorted(tmp_path.rglob('*')) == before
