"""The table of layouts in docs/images.md row by row, and three public data sets, from download
folder to submission."""

import csv
import pathlib
import re
import shlex

import numpy as np
import pytest
import tiny
from PIL import Image
from trees import content, notes

from jaxdl import main as command
from jaxdl.config.overrides import parse_value
from jaxdl.data import Data, load, read_listing
from jaxdl.errors import InputError
from jaxdl.inference import model_file

PAGE = pathlib.Path(__file__).parents[2] / 'docs' / 'images.md'
TRAIN, TEST = (
    'image,label\n1.jpg,cat\n2.jpg,dog\n3.jpg,cat\n4.jpg,dog\n',
    'image,label\n5.jpg,cat\n',
)
LOOSE = ('train/1.jpg', 'train/2.jpg', 'train/3.jpg', 'train/4.jpg', 'test/5.jpg')


def pairs(*prefixes):
    return [
        f'{prefix}{kind}/{i}.jpg' for prefix in prefixes for kind in ('cat', 'dog') for i in '12'
    ]


# First cell of a row -> images, tables, and the dataset that "the same" stands for.
ROWS = {
    '`cat/1.jpg`, `dog/2.jpg`': (pairs(''), {}),
    '`train/cat/1.jpg`, `test/cat/2.jpg`': (pairs('train/', 'test/'), {}),
    'the same under `seg_train/`, `TrainingSet/`, `dev/`, `holdout/`, `test2017/`': (
        pairs('seg_train/', 'dev/', 'holdout/'),
        {},
    ),
    '`cat/train/1.jpg`, `cat/test/2.jpg`': (
        [f'{kind}/{part}/1.jpg' for kind in ('cat', 'dog') for part in ('train', 'test')],
        {},
    ),
    '`archive/train/train/cat/1.jpg`, `images/cat/1.jpg` next to `annotations/`': (
        pairs('archive/train/train/'),
        {},
    ),
    '`fold1/cat/1.jpg`, `fold2/cat/2.jpg`, ...': (pairs('fold1/', 'fold2/', 'fold3/'), {}),
    '`day/cat/1.jpg`, `night/cat/2.jpg`: a split each': (pairs('day/', 'night/'), {}),
    '`anna/cat/1.jpg`, `ben/cat/2.jpg`, ...: in one split each': (
        pairs('anna/', 'ben/', 'carl/'),
        {},
    ),
    '`cat/2023/1.jpg`, `dog/2023/2.jpg`: the top folders are classes': (
        [
            f'{kind}/{year}/{i}.jpg'
            for kind in ('cat', 'dog')
            for year in ('2022', '2023')
            for i in '1'
        ],
        {},
    ),
    '`cat.0.jpg`, `cat_001.jpg`, also in `train/`': (
        ['cat.0.jpg', 'cat.1.jpg', 'dog.0.jpg', 'dog_001.jpg'],
        {},
    ),
    '`train/1.jpg`, `test/2.jpg`, `train.csv`': (LOOSE, {'train.csv': TRAIN}),
    '`train.csv` and a table of test images, `test.csv`': (
        LOOSE,
        {'train.csv': TRAIN, 'test.csv': TEST},
    ),
    '`train.csv.gz`, `train.tsv`, `train.parquet`, `train.xlsx`': (LOOSE, {'train.xlsx': TRAIN}),
    'a column `split`, `subset`, `is_valid` or `fold`': (
        LOOSE,
        {'train.csv': 'image,label,is_valid\n1.jpg,cat,0\n2.jpg,dog,0\n3.jpg,cat,1\n4.jpg,dog,1\n'},
    ),
    'columns `healthy`, `rust`, `scab` with one 1 per row': (
        LOOSE,
        {'train.csv': 'image,healthy,rust,scab\n1.jpg,1,0,0\n2.jpg,0,1,0\n3.jpg,0,0,1\n'},
    ),
    'names that are several labels, such as `scab rust`': (
        ['scab/1.jpg', 'rust/1.jpg', 'scab rust/1.jpg'],
        {},
    ),
    '`cat/1.heic`': (['cat/1.heic', 'dog/1.heic'], {}),
    'wide or tall images with the class at an edge': (pairs(''), {}),
    'files that cannot be read': (pairs(''), {'cat/9.jpg': 'no image'}),
}


def table():
    """First cell and flag of each row of the table of layouts."""
    text = PAGE.read_text()
    lines = text[text.index('| images as they are | flag |') :].split('\n\n')[0].splitlines()[2:]
    return {line.split(' | ')[0].removeprefix('| '): line.split(' | ')[1][:-2] for line in lines}


def draw(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == '.heic':
        pytest.importorskip('pillow_heif').register_heif_opener()
    Image.fromarray(tiny.images(1, seed=seed)[0]).save(path)


def write(top, images, tables):
    for i, name in enumerate(images):
        draw(top / name, i)
    for name, text in tables.items():
        if name.endswith('.xlsx'):
            book = pytest.importorskip('openpyxl').Workbook()
            for row in csv.reader(text.splitlines()):
                book.active.append(row)
            book.save(top / name)
        else:
            (top / name).write_text(text)


def settings(cell, tables):
    """Fields of Data that the flag of a row sets."""
    words = {}
    for flag in re.findall(r'`(--[^`]+)`', cell):
        (word,) = shlex.split(flag)
        name, value = word.removeprefix('--').removeprefix('set=').split('=', 1)
        words[name] = value
    words |= dict(re.findall(r'`(label_column)=([^`]+)`', cell))
    dataset = f'csv:photos/{next(iter(tables))}' if tables else 'folder:photos'
    return {'dataset': dataset, **words}


def test_the_page_has_a_row_for_each_kind():
    assert list(table()) == list(ROWS)


@pytest.mark.parametrize('kind', ROWS)
def test_each_kind_is_read_with_the_flag_of_the_page(kind, tmp_path):
    images, tables = ROWS[kind]
    write(tmp_path / 'photos', images, tables)
    tables = {name: text for name, text in tables.items() if not name.endswith('.jpg')}
    words = settings(table()[kind], tables)
    data = Data(**{name: parse_value(str, value) for name, value in words.items()}, image_size=8)
    dataset = load(data)
    unlabelled = {'test/5.jpg', 'train/4.jpg'} if tables else {'scab rust/1.jpg'}
    names = {name.removeprefix('train/').removeprefix('test/') for name in (*images, *unlabelled)}
    if tables:
        assert {*dataset.ids} <= names
        assert len(dataset.ids) >= 3
    else:
        assert {*dataset.ids} == {*images} - unlabelled
    assert not {'train', 'test', '1', '0'} & {*dataset.class_names}


def checkpoint(path, class_names):
    """A network with these classes, as if it were trained."""
    variables = tiny.variables()
    columns = np.arange(len(class_names)) % len(tiny.CLASSES)
    head = {name: value[..., columns] for name, value in variables['params']['head'].items()}
    head['bias'] = head['bias'] + np.arange(len(class_names), dtype=np.float32) / 50
    params = dict(variables['params'], head=head)
    card = tiny.card(class_names=tuple(class_names), num_classes=len(class_names))
    model_file.save(path, [dict(variables, params=params)], card)
    return path


def predict(run, images, *arguments):
    call = ['--mode=predict', f'--checkpoint={run}', f'--images={images}', '--output=out/p.csv']
    return command.main([*call, *arguments])


def read(path):
    with pathlib.Path(path).open(newline='', encoding='utf-8') as file:
        return list(csv.reader(file))


def test_dogs_vs_cats(tmp_path, capsys):
    """Kaggle 2013: classes in file names, `test1/` without labels, a sample of probabilities."""
    top = tmp_path / 'dogs-vs-cats'
    names = [f'train/{kind}.{i}.jpg' for kind in ('cat', 'dog') for i in range(4)]
    write(top, [*names, *(f'test1/{i}.jpg' for i in range(1, 13))], {})
    (top / 'sampleSubmission.csv').write_text(
        'id,label\n' + ''.join(f'{i},0\n' for i in range(1, 13))
    )
    with pytest.raises(InputError, match=r'label_pattern=') as error:
        load(Data(dataset='folder:dogs-vs-cats'))
    assert 'sampleSubmission' not in str(error.value)
    (flag,) = re.findall(r"'--set=label_pattern=(.*?)'\)", str(error.value))
    dataset = load(Data(dataset='folder:dogs-vs-cats', label_pattern=flag, image_size=8))
    assert dataset.class_names == ('cat', 'dog')
    assert {*dataset.ids} == {*names}
    run = checkpoint(tmp_path / 'run', dataset.class_names)
    sample = f'--set=submission={top / "sampleSubmission.csv"}'
    assert predict(run, top / 'test1', sample) == 2
    assert '--set=submission_values=dog' in capsys.readouterr().err
    assert predict(run, top / 'test1', sample, '--set=submission_values=dog') == 0
    header, *rows = read('out/submission.csv')
    assert header == ['id', 'label']
    assert [row[0] for row in rows] == [str(i) for i in range(1, 13)]
    by_name = {row[0]: row for row in read('out/p.csv')}
    for name, value in rows:
        predicted = by_name[f'{name}.jpg']
        dog = predicted[2] if predicted[1] == 'dog' else predicted[4]
        assert value == dog


def test_plant_pathology_2021(tmp_path):
    """Several labels per image: refused in one line, with the reason and the two ways on."""
    top = tmp_path / 'plant-pathology-2021-fgvc8'
    labels = ('healthy', 'scab', 'scab frog_eye_leaf_spot', 'frog_eye_leaf_spot', 'rust', 'complex')
    labels += ('scab frog_eye_leaf_spot complex', 'healthy', 'powdery_mildew complex')
    labels += ('powdery_mildew',)
    names = [f'{800113 + i:x}.jpg' for i in range(len(labels))]
    rows = [f'{name},{label}' for name, label in zip(names, labels, strict=True)]
    write(top, [f'train_images/{n}' for n in names], {})
    (top / 'train.csv').write_text('\n'.join(('image,labels', *rows)))
    write(top, ['test_images/85f8cb619c66b863.jpg'], {})
    (top / 'sample_submission.csv').write_text('image,labels\n85f8cb619c66b863.jpg,healthy\n')
    where = f'csv:{top / "train.csv"}'
    with pytest.raises(InputError) as error:
        read_listing(Data(dataset=where))
    message = str(error.value)
    assert '\n' not in message
    for words in (
        'several labels',
        '3 images',
        'losses, metrics, calibration and files are of one class per image',
        'on_several_labels=skip',
        'on_several_labels=class',
    ):
        assert words in message
    rest = load(Data(dataset=where, on_several_labels='skip', image_size=8))
    assert len(rest.ids) == 7
    assert rest.class_names == (
        'complex',
        'frog_eye_leaf_spot',
        'healthy',
        'powdery_mildew',
        'rust',
        'scab',
    )
    run = checkpoint(tmp_path / 'run', rest.class_names)
    sample = f'--set=submission={top / "sample_submission.csv"}'
    assert predict(run, top / 'test_images', sample) == 0
    (header, row) = read('out/submission.csv')
    assert (header, row[0]) == (['image', 'labels'], '85f8cb619c66b863.jpg')
    assert row[1] in rest.class_names


def test_intel_scenes(tmp_path, capsys):
    """Doubled folders of splits, and images to predict next to them."""
    top, kinds = tmp_path / 'intel', ('buildings', 'forest', 'glacier', 'mountain', 'sea', 'street')
    train = [f'seg_train/seg_train/{kind}/{i}.jpg' for kind in kinds for i in range(2)]
    test = [f'seg_test/seg_test/{kind}/2005{i}.jpg' for i, kind in enumerate(kinds)]
    write(top, [*train, *test, *(f'seg_pred/seg_pred/{i}.jpg' for i in (10004, 5, 24))], {})
    listing = read_listing(Data(dataset='folder:intel'))
    assert content(listing) == {
        *(f'train {name.split("/")[2]} {name}' for name in train),
        *(f'test {name.split("/")[2]} {name}' for name in test),
    }
    assert 'seg_pred/' in str(notes(listing))
    run = checkpoint(tmp_path / 'run', listing.class_names)
    assert predict(run, top / 'seg_pred') == 0
    rows = read('out/p.csv')[1:]
    assert [row[0] for row in rows] == [f'seg_pred/{i}.jpg' for i in (10004, 24, 5)]
    assert {row[1] for row in rows} <= {*kinds}
    arguments = ['--mode=evaluate', f'--checkpoint={run}', '--dataset=folder:intel']
    assert command.main(arguments) == 0
    assert '6 images (its test split)' in capsys.readouterr().out
