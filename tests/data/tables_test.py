"""Tables as people have them: splits, folds, paths, ids and one-hot columns, or one line."""

import csv
import pathlib
import re

import numpy as np
import pytest
import tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trees import content, notes, touch

from jaxdl.data import Data, Dataset, bursts, load, split
from jaxdl.data.sources import class_names, columns, csv_table, finder
from jaxdl.errors import InputError

RECOGNISED = 'Columns recognised'
PHOTOS = [f'p{i}.jpg' for i in range(8)]


def table(text, file='t.csv'):
    pathlib.Path(file).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(file).write_text(text)
    return file


def rows(header, *cells):
    """A table of PHOTOS in two classes, with more columns."""
    lines = [f'image,label,{header}']
    lines += [f'{PHOTOS[i]},{"cat" if i % 2 else "dog"},{cell}' for i, cell in enumerate(cells)]
    touch(*PHOTOS)
    return table('\n'.join(lines) + '\n')


SPLITS = {
    'split': ('split', 'train', 'train', 'val', 'val', 'test', 'test'),
    'its words': ('Data Split', 'training', 'Train', 'dev', 'valid', 'testing', 'Test'),
    'usage': ('Usage', 'Training', 'Training', 'PublicTest', 'PublicTest', 'PrivateTest'),
    'subset': ('subset', 'train', 'train', 'test', 'test'),
    'set, where its values are splits': ('set', 'train', 'train', 'validation', 'test'),
    'fold, where its values are splits': ('fold', 'train', 'train', 'val', 'test'),
    'is_valid of fastai': ('is_valid', 'False', 'False', 'True', 'True'),
    'is_test': ('is_test', '0', '0', '1', '1'),
    'is_train': ('is_train', '1', '1', '0', '0'),
    'is_training_image of CUB': ('is_training_image', '1.0', '1.0', '0.0', '0.0'),
    'two flags': ('is_val,is_test', '0,0', '0,0', '1,0', '0,1', '0,1'),
}
EXPECTED = {
    'usage': ['train', 'train', 'test', 'test', 'test'],
    'two flags': ['train', 'train', 'val', 'test', 'test'],
    'set, where its values are splits': ['train', 'train', 'val', 'test'],
    'fold, where its values are splits': ['train', 'train', 'val', 'test'],
}


@pytest.mark.parametrize('kind', SPLITS)
def test_columns_of_splits_are_obeyed(kind):
    header, *cells = SPLITS[kind]
    listing = csv_table.csv(rows(header, *cells))
    six = ['train', 'train', 'val', 'val', 'test', 'test']
    four = ['train', 'train', 'test', 'test']
    assert list(listing.parts or ()) == EXPECTED.get(kind, six if len(cells) == 6 else four)
    assert notes(listing)[RECOGNISED] == tuple(f'{name} as split' for name in header.split(','))


def test_test_rows_are_not_trained_on():
    where = rows('split', *['train'] * 6, 'test', 'test')
    listing = csv_table.csv(where)
    listed = (listing.labels, listing.ids, listing.class_names, listing.parts)
    dataset = Dataset('made', '', np.zeros((8, 2, 2, 3), np.uint8), *listed)
    splits = split(dataset, Data())
    assert splits.test.tolist() == [6, 7]
    assert csv_table.csv(where, split_column='none').parts is None


def test_a_named_column_of_splits_wins():
    where = rows('split,my part', 'train,test', 'train,train', 'test,train', 'test,train')
    listing = csv_table.csv(where, split_column='my part')
    assert list(listing.parts or ()) == ['test', 'train', 'train', 'train']
    assert RECOGNISED not in notes(listing)


def test_folds_are_groups_and_serve_cross_validation():
    cells = [str(i // 2) for i in range(8)]
    listing = csv_table.csv(rows('fold', *cells))
    assert listing.groups == tuple(f'fold {cell}' for cell in cells)
    assert notes(listing) == {RECOGNISED: ('fold as groups',)}
    folds = bursts.folds(listing.labels, listing.groups, 4, 0)
    assert sorted(map(tuple, map(np.ndarray.tolist, folds))) == [(0, 1), (2, 3), (4, 5), (6, 7)]
    assert csv_table.csv('t.csv', group_column='none').groups is None
    both = csv_table.csv(rows('fold,split', '0,train', '1,train', '0,test', '1,test'))
    assert both.groups == ('fold 0', 'fold 1', 'test fold 0', 'test fold 1')


BAD_SPLITS = {
    'other values': (('split', 'a', 'b', 'c'), "'split' has 'a', which is no split"),
    'numbers': (('split', '0', '1', '2'), "'split' has '0', which is no split"),
    'an empty cell': (('split', 'train', '', 'test'), "line 3: 'split' is empty"),
    'two columns': (('split,subset', 'train,test', 'test,train'), 'several could be it'),
    'two flags that are true': (('is_val,is_test', '1,1', '0,0'), 'just one of'),
}


@pytest.mark.parametrize('kind', BAD_SPLITS)
def test_columns_of_splits_that_are_not_clear(kind):
    (header, *cells), words = BAD_SPLITS[kind]
    where = rows(header, *cells)
    with pytest.raises(InputError, match=re.escape(words)) as error:
        csv_table.csv(where)
    assert '\n' not in str(error.value)
    for key, value in re.findall(r'--set=(\w+)=(\w+)', str(error.value)):
        assert len(csv_table.csv(where, **{key: value}).ids) == len(cells)


def test_a_column_that_may_be_something_else_is_left_alone():
    listing = csv_table.csv(rows('dataset', 'vienna', 'vienna', 'rosendahl'))
    assert (listing.parts, listing.groups, listing.notes) == (None, None, ())


def test_a_second_table_has_the_test_images():
    touch('train/1.jpg', 'train/2.jpg', 'test/1.jpg', 'test/3.jpg', 'test/4.jpg')
    table('id,breed\n1,cat\n2,dog\n', 'train.csv')
    table('id,breed\n1,cat\n3,cat\n4,fox\n', 'test.csv')
    listing = csv_table.csv('train.csv', test_table='test.csv')
    assert content(listing) == {
        'train cat 1',
        'train dog 2',
        'test cat test/1',
        'test cat test/3',
        'test fox test/4',
    }
    assert {p.as_posix() for p in listing.images} >= {'train/1.jpg', 'test/1.jpg', 'test/4.jpg'}
    table('id,breed\n2,dog\n', 'again.csv')
    with pytest.raises(InputError, match=r"again.csv: '2' is in train.csv too"):
        csv_table.csv('train.csv', test_table='again.csv', images='train')
    with pytest.raises(InputError, match=r'no such file: none\.csv'):
        csv_table.csv('train.csv', test_table='none.csv')


def test_the_only_other_column_has_the_classes():
    touch('1.jpg', '2.jpg')
    listing = csv_table.csv(table('id,breed\n1,cat\n2,dog\n'))
    assert listing.class_names == ('cat', 'dog')
    assert notes(listing) == {RECOGNISED: ('breed as class',)}


PLACES = {
    'train.csv': 'train',
    'labels.csv': 'train',
    'trainLabels.csv': 'train',
    'train_labels.csv': 'train_images',
    'meta.csv': 'images',
    'food.csv': 'food_images',
}


@pytest.mark.parametrize('file', PLACES)
def test_usual_folders_of_the_images(file):
    touch(f'k/{PLACES[file]}/1.jpg', f'k/{PLACES[file]}/2.jpg', 'k/test/1.jpg')
    listing = csv_table.csv(table('id,label\n1,cat\n2,dog\n', f'k/{file}'))
    assert [p.as_posix() for p in listing.images] == [f'k/{PLACES[file]}/{i}.jpg' for i in (1, 2)]
    assert listing.notes == ()


def test_images_in_folders_below_and_in_several_folders():
    touch('HAM/part_1/a.jpg', 'HAM/part_2/b.jpg', 'other/c.jpg')
    where = table('image,label\na,cat\nb,dog\n', 'HAM/meta.csv')
    listing = csv_table.csv(where)
    assert [p.as_posix() for p in listing.images] == ['HAM/part_1/a.jpg', 'HAM/part_2/b.jpg']
    assert notes(listing) == {finder.BELOW: ('HAM/part_1/', 'HAM/part_2/')}
    three = table('image,label\na,cat\nb,dog\nc,cat\n')
    listing = csv_table.csv(three, images='HAM/part_1,HAM/part_2,other')
    assert listing.notes == ()
    assert [p.name for p in listing.images] == ['a.jpg', 'b.jpg', 'c.jpg']
    with pytest.raises(InputError, match='--images=HAM,none: no such folder: none'):
        csv_table.csv(three, images='HAM,none')


def test_names_in_several_folders_are_ambiguous():
    touch('x/a.jpg', 'y/a.jpg', 'x/b.jpg', 'y/b.jpg', 'y/c.jpg')
    where = table('image,label\na.jpg,cat\nb.jpg,dog\nc.jpg,dog\n')
    with pytest.raises(InputError, match='is in several folders') as error:
        csv_table.csv(where)
    assert "t.csv line 2: 'a.jpg'" in str(error.value)
    assert 'as are 1 more names' in str(error.value)
    listing = csv_table.csv(where, images='y')  # as the message says
    assert [p.as_posix() for p in listing.images] == ['y/a.jpg', 'y/b.jpg', 'y/c.jpg']
    touch('z/x/d.jpg', 'z/y/d.jpg', 'z/y/e.jpg')
    paths = csv_table.csv(table('image,label\nx/d.jpg,cat\ny/e,dog\n', 'z2/t.csv'), images='z')
    assert [p.as_posix() for p in paths.images] == ['z/x/d.jpg', 'z/y/e.jpg']


def test_absolute_paths_and_backslashes():
    touch('images/sub/a.jpg', 'images/b.jpg')
    here = pathlib.Path.cwd()
    listing = csv_table.csv(table(f'path,label\n{here}/images/sub/a.jpg,cat\nimages\\b.jpg,dog\n'))
    assert [p.as_posix() for p in listing.images] == ['images/sub/a.jpg', 'images/b.jpg']
    windows = csv_table.csv(table('path,label\nsub\\a.jpg,cat\n.\\b.jpg,dog\n'), images='images')
    assert [p.as_posix() for p in windows.images] == ['images/sub/a.jpg', 'images/b.jpg']
    pathlib.Path('link').symlink_to('images')
    linked = csv_table.csv(
        table(f'path,label\n{here}/images/sub/a.jpg,cat\n{here}/link/b.jpg,dog\n'), images='link'
    )
    assert len(linked.ids) == 2
    for outside in ('/etc/hostname', f'{here}/images/../../x.jpg', 'C:\\x.jpg'):
        with pytest.raises(InputError, match='leaves the image folder'):
            csv_table.csv(table(f'path,label\nb.jpg,cat\n{outside},dog\n'), images='images')


def test_a_link_below_does_not_leave_the_image_folder():
    touch('images/a.jpg', 'secret/b.jpg')
    pathlib.Path('images/away').symlink_to(pathlib.Path('secret').resolve())
    with pytest.raises(InputError, match='leaves the image folder'):
        csv_table.csv(table('image,label\na.jpg,cat\nb.jpg,dog\n'), images='images')


def test_ids_that_are_numbers():
    touch('1.jpg', '0002.jpg', 'deep/30.png')
    listing = csv_table.csv(table('id,label\n1.0,cat\n2.0,dog\n30.0,cat\n'))
    assert [p.as_posix() for p in listing.images] == ['1.jpg', '0002.jpg', 'deep/30.png']
    assert listing.ids == ('1.0', '2.0', '30.0')  # as the table writes them
    assert set(notes(listing)) == {finder.NUMBERS, finder.BELOW}
    assert notes(listing)[finder.NUMBERS][1] == '2.0 as 0002.jpg'
    touch('2.jpg')
    again = csv_table.csv(table('id,label\n1,cat\n2,dog\n'))
    assert [p.name for p in again.images] == ['1.jpg', '2.jpg']
    assert again.notes == ()
    touch('4')  # without suffix
    last = csv_table.csv(table('id,label\n1.0,cat\n4.0,dog\n'))
    assert [p.name for p in last.images] == ['1.jpg', '4']


def test_numbers_are_sorted_by_size_and_written_as_given():
    touch(*PHOTOS)
    labels = ('10.0', '2.0', '1.0', '-1.5')
    text = 'image,label\n' + ''.join(f'p{i}.jpg,{label}\n' for i, label in enumerate(labels))
    assert csv_table.csv(table(text)).class_names == ('-1.5', '1.0', '2.0', '10.0')
    mixed = csv_table.csv(table(text + 'p4.jpg,2\n'))
    assert mixed.class_names == ('-1.5', '1.0', '2', '10.0')
    assert list(notes(mixed)) == [class_names.SPELLING]


ONE_HOT = 'image_id,healthy,rust,scab\np0,1,0,0\np1,0,1,0\np2,0,0,1\np3,1,0,0\n'


@pytest.mark.parametrize('form', ['1 0', '1.0 0.0', 'True False', '1 '])
def test_one_hot_columns_are_one_label(form):
    one, zero = form.split(' ')
    touch(*PHOTOS)
    text = re.sub('(?<=,)[01]', lambda match: one if match[0] == '1' else zero, ONE_HOT)
    listing = csv_table.csv(table(text))
    assert content(listing) == {'healthy p0', 'rust p1', 'scab p2', 'healthy p3'}
    assert notes(listing) == {RECOGNISED: ('healthy, rust, scab as one-hot classes',)}


def test_one_hot_columns_are_named():
    touch(*PHOTOS)
    text = ONE_HOT.replace('scab\n', 'scab,outdoors\n')
    text = re.sub(r'(?<=\d)\n', ',1\n', text)
    with pytest.raises(InputError, match='jaxdl has single-label classification only'):
        csv_table.csv(table(text))
    listing = csv_table.csv('t.csv', label_column='healthy, rust,scab')
    assert listing.class_names == ('healthy', 'rust', 'scab')
    with pytest.raises(InputError, match='none of them is 1'):
        csv_table.csv('t.csv', label_column='rust,scab')
    with pytest.raises(InputError, match="'2' is neither 0 nor 1"):
        csv_table.csv(table(ONE_HOT.replace('p3,1', 'p3,2')), label_column='healthy,rust,scab')


SEVERAL = {
    'one-hot': 'image,a,b,c\np0,1,0,0\np1,0,1,0\np2,0,1,1\np3,0,0,1\n',
    'words': 'image,label\np0,a\np1,b\np2,b c\np3,c\n',
    'commas': 'image,labels\np0,a\np1,b\np2,"b, c"\np3,c\n',
    'bars': 'image,label\np0,a\np1,b\np2,c|b\np3,c\n',
    'lists': "image,label\np0,['a']\np1,['b']\np2,\"['b', 'c']\"\np3,['c']\n",
    'rows': 'image,label\np0,a\np1,b\np2,b\np3,c\np2,c\n',
}


@pytest.mark.parametrize('kind', SEVERAL)
def test_several_labels_are_refused_or_left_out(kind):
    touch(*PHOTOS)
    where = table(SEVERAL[kind])
    with pytest.raises(InputError, match='jaxdl has single-label classification only') as error:
        csv_table.csv(where)
    assert '\n' not in str(error.value)
    skip = csv_table.csv(where, on_several_labels='skip')
    assert content(skip) == {'a p0', 'b p1', 'c p3'}
    assert notes(skip)['Left out: several labels per image'] == ('p2',)
    assert len(csv_table.csv(where, on_several_labels='class').class_names) == 4


HEADERS = 'image label id class split fold is_valid a b set group path'
CELLS = "p0.jpg p1.jpg p2 x/p3.jpg /etc/p 0 1 1.0 train test val cat dog cat,dog ['a']"
HEADER, CELL = st.sampled_from(HEADERS.split()), st.sampled_from(['', *CELLS.split(' ')])


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(HEADER, min_size=1, max_size=4, unique=True).flatmap(
        lambda header: st.tuples(
            st.just(header), st.lists(st.tuples(*[CELL] * len(header)), min_size=1, max_size=5)
        )
    )
)
def test_random_tables_are_read_row_by_row_or_refused_in_one_line(random_table):
    header, lines = random_table
    touch('p0.jpg', 'p1.jpg', 'p2.jpg', 'x/p3.jpg')
    with pathlib.Path('r.csv').open('w', newline='') as file:
        csv.writer(file).writerows([header, *lines])
    listing, problem = None, ''
    try:
        listing = csv_table.csv('r.csv', on_several_labels='skip')
    except InputError as error:
        problem = str(error)
    assert '\n' not in problem
    if listing is None:
        return
    images = next(i for i in columns_of_images(header, lines))
    again = notes(listing).get('Rows that name an image again', ())
    several = notes(listing).get('Left out: several labels per image', ())
    assert len(lines) == len(listing.ids) + len(again) + len(several)
    assert {line[images] for line in lines} == {*listing.ids, *again, *several}


def columns_of_images(header, lines):
    """The column that is taken for images: the more certain names first."""
    for tier in columns.IMAGE_COLUMNS:
        yield from (i for i, name in enumerate(header) if name in tier)


def test_a_table_is_trained_on_as_it_says(tmp_path):
    tiny.files(tmp_path / 'images', tiny.images(8, 8, 8), [f'{i}.png' for i in range(8)])
    lines = [f'{i},{"cat" if i % 2 else "dog"},{"test" if i > 5 else "train"}' for i in range(8)]
    table('id,label,split\n' + '\n'.join(lines) + '\n')
    dataset = load(Data(dataset='csv:t.csv', image_size=8))
    assert dataset.parts == ('train',) * 6 + ('test',) * 2
    assert dataset.images.shape == (8, 8, 8, 3)
