"""Data sources: content of every `--dataset`, tolerated variations, one line per error."""

import csv
import io
import os
import pathlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxdl.data import Data, load
from jaxdl.data.sources import builtin, csv_table, folder, foodc, huggingface, npz
from jaxdl.errors import InputError

GROCERY = pathlib.Path(__file__).parents[3] / 'shared/data/grocery'


def touch(*names):
    for name in names:
        path = pathlib.Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def classes(listing):
    """The class name by id."""
    return {
        i: listing.class_names[label] for i, label in zip(listing.ids, listing.labels, strict=True)
    }


def notes(listing):
    """The examples by finding."""
    return {note.finding: note.examples for note in listing.notes}


GOOD = 'ImageId,ClassName\na.jpg,cat\nb.jpg,dog\n'
SAME = {
    'plain': GOOD,
    'byte-order mark': '\ufeff' + GOOD,
    'semicolons': GOOD.replace(',', ';'),
    'tabs': GOOD.replace(',', '\t'),
    'Windows': GOOD.replace('\n', '\r\n'),
    'old Macintosh': GOOD.replace('\n', '\r'),
    'no last line end': GOOD.rstrip(),
    'blank lines': '\n' + GOOD.replace('\n', '\n\n') + '\n \n\n',
    'empty rows of a spreadsheet': GOOD + ',\n,\n',
    'quotes': '"ImageId","ClassName"\n"a.jpg","cat"\n"b.jpg","dog"\n',
    'spaces': 'ImageId , ClassName\n a.jpg , cat\nb.jpg, "dog" \n'.replace('" ', '"'),
    'twice the same': GOOD + 'a.jpg,cat\n',
    'another way to write it': GOOD + './a.jpg,cat\nA.JPG,cat\n',
    'more columns': 'n,ClassName,ImageId,remark\n1,cat,a.jpg,"x, ""y""\nz"\n2,dog,b.jpg,\n',
    'lower case': GOOD.lower(),
    'underscores': GOOD.replace('ImageId', 'image_id').replace('ClassName', 'class name'),
    'other words': GOOD.replace('ImageId', 'FILENAME').replace('ClassName', 'Category'),
    'an id besides': 'id,filename,label\n7,a.jpg,cat\n8,b.jpg,dog\n',
}


@pytest.mark.parametrize('kind', SAME)
def test_csvs_that_mean_the_same(kind):
    pathlib.Path('t.csv').write_text(SAME[kind], newline='')
    touch('a.jpg', 'b.jpg')
    listing = csv_table.csv('t.csv')
    assert classes(listing) == {'a.jpg': 'cat', 'b.jpg': 'dog'}
    assert [p.name for p in listing.images] == ['a.jpg', 'b.jpg']
    assert listing.labels.dtype == np.int32


@pytest.mark.parametrize('suffix', ['.jpg', '.JPG', '.Jpeg', '.png', '.webp', '.bmp', '.GIF'])
def test_ids_without_extension_are_found(suffix):
    pathlib.Path('t.csv').write_text('ImageId,ClassName\na.b,cat\nsub/c,dog\nD.JPG,cat\n')
    touch(f't_images/a.b{suffix}', f't_images/sub/c{suffix}', 't_images/d.jpg', 't_images/a.b.txt')
    assert [str(p) for p in csv_table.csv('t.csv').images] == [
        f't_images/a.b{suffix}',
        f't_images/sub/c{suffix}',
        't_images/d.jpg',
    ]


def test_images_are_searched_next_to_the_table_and_in_the_named_folder():
    pathlib.Path('t.csv').write_text(GOOD)
    touch('a.jpg', 'b.jpg')
    assert [str(p) for p in csv_table.csv('t.csv').images] == ['a.jpg', 'b.jpg']
    touch('t_images/a.jpg')
    assert [str(p) for p in csv_table.csv('t.csv').images] == ['t_images/a.jpg', 'b.jpg']
    touch('other/a.jpg')  # b is missing there: the decoder will say so
    assert [str(p) for p in csv_table.csv('t.csv', images='other').images] == [
        'other/a.jpg',
        'other/b.jpg',
    ]


def test_a_guess_is_overruled_and_a_path_has_colons():
    touch('a.jpg', 'b.jpg')
    pathlib.Path('t.csv').write_text('image,class,kind,original\nx,1,cat,a.jpg\ny,2,dog,b.jpg\n')
    right = {'a.jpg': 'cat', 'b.jpg': 'dog'}
    assert classes(csv_table.csv('t.csv:original:kind')) == right
    assert classes(csv_table.csv('t.csv:ORIGINAL:Kind')) == right
    assert classes(csv_table.csv('t.csv', image_column='original', label_column='kind')) == right
    assert classes(csv_table.csv('t.csv:original')) == {'a.jpg': '1', 'b.jpg': '2'}
    pathlib.Path('t.csv').rename('c:t.csv')
    assert classes(csv_table.csv('c:t.csv:original:kind')) == right


def test_groups_and_numbered_classes():
    touch('a.jpg', 'b.jpg', 'c.jpg')
    pathlib.Path('t.csv').write_text('image,label,shop\na,10,north\nb,2,south\nc,-1,north\n')
    listing = csv_table.csv('t.csv', group_column='Shop')
    assert listing.groups == ('north', 'south', 'north')
    assert listing.class_names == ('-1', '2', '10')
    assert csv_table.csv('t.csv').groups is None


H = b'ImageId,ClassName\n'
BAD_CSVS = {
    'empty': (b'', 'is empty'),
    'blank': (b'\n\n  \n', 'is empty'),
    'only a mark': (b'\xef\xbb\xbf', 'is empty'),
    'header only': (H, 'no rows'),
    'header and blank': (H + b'\n,\n', 'no rows'),
    'no header': (b'a.jpg,cat\nb.jpg,dog\n', "among 'a.jpg', 'cat'"),
    'no image column': (
        b'foo,ClassName\na.jpg,cat\n',
        "none is recognised among 'foo', 'ClassName'",
    ),
    'no class column': (b'ImageId\na.jpg\n', "none is recognised among 'ImageId'"),
    'two image columns': (b'image,filename,label\na.jpg,a.jpg,cat\n', 'several could be it'),
    'two class columns': (
        b'image,class,label\na.jpg,1,cat\n',
        'csv:t.csv:image_column:label_column',
    ),
    'the same column twice': (b'image,class,class\na.jpg,1,cat\n', 'several could be it'),
    'empty name': (H + b'a.jpg,cat\n,dog\n', "line 3: 'ImageId' is empty"),
    'blank name': (H + b'a.jpg,cat\n"  ",dog\n', "line 3: 'ImageId' is empty"),
    'empty class': (H + b'a.jpg,\nb.jpg,dog\n', "line 2: 'ClassName' is empty"),
    'empty row within': (H + b'a.jpg,cat\n,\nb.jpg,dog\n', 'line 3'),
    'short row': (H + b'a.jpg,cat\nb.jpg\n', 'line 3: the header has 2 columns, the row 1'),
    'long row': (H + b'a.jpg,cat\nb.jpg,dog,big\n', 'line 3: the header has 2 columns, the row 3'),
    'other delimiter below': (H + b'a.jpg;cat\nb.jpg;dog\n', 'line 2: the header has 2'),
    'line after a quoted line end': (b'image,class,x\na,b,"1\n2"\nc\n', 'line 4: the header'),
    'two classes': (
        H + b'a.jpg,cat\nb.jpg,dog\na.jpg,dog\n',
        "line 4: 'a.jpg' is 'dog', and in t.csv line 2 'cat'",
    ),
    'two classes, two spellings': (H + b'a.jpg,cat\nb.jpg,dog\na,dog\n', 'line 4'),
    'missing, two classes': (H + b'a.jpg,cat\nx.jpg,dog\nx.jpg,cat\n', 'line 4'),
    'upwards': (H + b'a.jpg,cat\n../../x.jpg,dog\n', 'line 3: .*leaves the image folder'),
    'upwards within': (H + b'a.jpg,cat\nsub/../../x.jpg,dog\n', 'leaves the image folder'),
    'upwards, Windows': (H + b'a.jpg,cat\n..\\x.jpg,dog\n', 'leaves the image folder'),
    'absolute': (H + b'a.jpg,cat\n/etc/hostname,dog\n', 'leaves the image folder'),
    'drive': (H + b'a.jpg,cat\nC:\\x.jpg,dog\n', 'leaves the image folder'),
    'share': (H + b'a.jpg,cat\n\\\\host\\x.jpg,dog\n', 'leaves the image folder'),
    'link': (H + b'a.jpg,cat\nlink.jpg,dog\n', 'is a link that leaves'),
    'link without extension': (H + b'a.jpg,cat\nlink,dog\n', 'is a link that leaves'),
    'linked folder': (H + b'a.jpg,cat\naway/x.jpg,dog\n', 'is a link that leaves'),
    'two files': (H + b'a.jpg,cat\ntwice,dog\n', "could be 'twice.jpg' or 'twice.png'"),
    'Latin-1': (H + 'a.jpg,caf\xe9\n'.encode('latin-1'), 'line 2: not UTF-8'),
    'UTF-16': ((H.decode() + 'a.jpg,cat\n').encode('utf-16'), 'UTF-16; save it as UTF-8'),
    'NUL': (H + b'a.jpg,c\0t\n', 'line 2: there is a NUL'),
    'a picture': (b'\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'is a PNG image; save it as CSV'),
    'open quote': (H + b'a.jpg,"cat\nb.jpg,dog\n', 'line 2: .*quote left open'),
    'text after a quote': (H + b'a.jpg,"cat"s\nb.jpg,dog\n', 'line 2: not a row'),
    'a field without end': (H + b'a.jpg,' + b'x' * 200_000 + b'\n', 'line 2: not a row'),
    'one class': (H + b'a.jpg,cat\nb.jpg,cat\n', "one class, 'cat'"),
    'no image there': (
        H + b'p.jpg,cat\nq.jpg,dog\n',
        r'none of its 2 images is in t_images or \..*--images=DIR',
    ),
    'a folder as name': (H + b'.,cat\nsub,dog\n', 'none of its 2 images'),
}


def surroundings():
    """Two images, and ways out of their folder."""
    touch(
        't_images/a.jpg',
        't_images/b.jpg',
        't_images/twice.jpg',
        't_images/twice.png',
        't_images/sub/c.jpg',
    )
    touch('outside/x.jpg')
    pathlib.Path('t_images/link.jpg').symlink_to(pathlib.Path('outside/x.jpg').resolve())
    pathlib.Path('t_images/away').symlink_to(pathlib.Path('outside').resolve())


@pytest.mark.parametrize('kind', BAD_CSVS)
def test_malformed_csvs(kind):
    content, words = BAD_CSVS[kind]
    surroundings()
    pathlib.Path('t.csv').write_bytes(content)
    with pytest.raises(InputError, match=words) as error:
        load(Data(dataset='csv:t.csv'))
    assert '\n' not in str(error.value)
    assert len(str(error.value)) < 1000


BAD_SPECS = {
    'nothing': ('', {}, 'needs a path'),
    'no file': ('none.csv', {}, 'no such file: none.csv'),
    'no file with columns': ('none.csv:a:b', {}, 'no such file'),
    'no user': ('~nobody-here/t.csv', {}, 'no such file'),
    'too long': ('x' * 5000, {}, 'no such file'),
    'NUL': ('\0', {}, 'no such file'),
    'folder': ('t_images', {}, 'is a folder, not a file.*folder:t_images'),
    'unknown column': ('t.csv:Imageid:Clas', {}, "there is no 'Clas': .*did you mean ClassName"),
    'too many': ('t.csv:a:b:c', {}, 'the form is --dataset=csv:FILE'),
    'one for both': ('t.csv:ImageId:ImageId', {}, 'cannot be both'),
    'unknown group': ('t.csv', dict(group_column='shop'), "groups: there is no 'shop'"),
    'no images folder': ('t.csv', dict(images='none'), '--images=none: no such folder'),
    'images is a file': ('t.csv', dict(images='t.csv'), 'no such folder'),
}


@pytest.mark.parametrize('kind', BAD_SPECS)
def test_wrong_specifications_of_a_csv(kind):
    where, options, words = BAD_SPECS[kind]
    surroundings()
    pathlib.Path('t.csv').write_text(GOOD)
    with pytest.raises(InputError, match=words) as error:
        csv_table.csv(where, **options)
    assert '\n' not in str(error.value)


CELLS = st.text(
    st.sampled_from('ab.jpg/\\~:;,\t"\'\n\r \0\ufeff\xe9\u2028'), max_size=8
) | st.sampled_from(['ImageId', 'ClassName', 'a.jpg', 'b', '..', 'cat', 'dog', '""'])
TABLES = st.lists(st.lists(CELLS, max_size=4), max_size=5)
FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@FUZZ
@given(
    st.binary(max_size=60) | TABLES.map(lambda rows: '\n'.join(map(','.join, rows)).encode()),
    st.booleans(),
)
def test_only_input_errors_are_raised(data, headed):
    touch('t_images/a.jpg', 't_images/b.jpg')
    pathlib.Path('t.csv').write_bytes(H * headed + data)
    problem = None
    try:
        listing = csv_table.csv('t.csv')
    except InputError as error:
        problem = str(error)
    if problem:
        assert '\n' not in problem
    else:
        inside = pathlib.Path.cwd().resolve()
        assert all(
            pathlib.Path(os.path.normpath(inside / p)).is_relative_to(inside)
            for p in listing.images
        )


WORDS = st.text(st.characters(exclude_categories=['C', 'Z']), min_size=1, max_size=9).filter(
    lambda word: not word.startswith('[')  # a list of labels
)


@FUZZ
@given(
    st.lists(WORDS, min_size=2, max_size=9, unique=True),
    st.sampled_from(',;\t'),
    st.sampled_from(['\n', '\r\n']),
)
def test_csv_files_of_the_standard_library_are_read(names, delimiter, end):
    touch('t_images/0.jpg')
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    writer.writerows(
        [('ImageId', 'ClassName'), *((f'{i}.jpg', name) for i, name in enumerate(names))]
    )
    pathlib.Path('t.csv').write_text(text.getvalue(), 'utf-8', newline='')
    assert classes(csv_table.csv('t.csv')) == {f'{i}.jpg': name for i, name in enumerate(names)}


def test_one_folder_per_class():
    touch(
        'f/10/x.jpg',
        'f/2/deep/er/y.PNG',
        'f/2/a.webp',
        'f/2/.hidden.jpg',
        'f/2/notes.txt',
        'f/.git/z.jpg',
        'f/l.jpg',
    )
    touch('f/__MACOSX/2/a.jpg', 'f/2/.DS_Store')
    listing = folder.folder('f')
    assert classes(listing) == {'2/a.webp': '2', '2/deep/er/y.PNG': '2', '10/x.jpg': '10'}
    assert listing.parts is None
    assert listing.class_names == ('2', '10')
    assert [str(p) for p in listing.images] == [f'f/{i}' for i in listing.ids]


@pytest.mark.parametrize(
    ('tops', 'parts'),
    [
        (('train', 'val', 'test'), {'train', 'val', 'test'}),
        (('Train', 'validation', 'TEST'), {'train', 'val', 'test'}),
        (('train', 'test'), {'train', 'test'}),
        (('train', 'valid'), {'train', 'test'}),
    ],
)
def test_parts_of_a_folder(tops, parts):
    touch(*(f'f/{top}/{kind}/1.jpg' for top in tops for kind in 'ab'))
    listing = folder.folder('f')
    assert set(listing.parts or ()) == parts
    assert len(listing.ids) == 2 * len(tops)
    assert listing.class_names == ('a', 'b')
    first = {i.split('/')[0]: p for i, p in zip(listing.ids, listing.parts or (), strict=True)}
    assert first[tops[0]] == 'train'


def test_a_test_folder_without_labels_is_left_out():
    touch('f/train/a/1.jpg', 'f/train/b/1.jpg', 'f/test/9.jpg')
    listing = folder.folder('f')
    assert listing.parts is None
    assert listing.ids == ('train/a/1.jpg', 'train/b/1.jpg')
    assert notes(listing) == {'Left out: folders of a split without class folders': ('test/',)}


def test_a_class_may_be_called_train():
    touch('f/train/1.jpg', 'f/plane/1.jpg')
    assert folder.folder('f').class_names == ('plane', 'train')


def test_links_in_circles_end():
    touch('f/a/1.jpg', 'f/b/sub/2.jpg')
    for link, to in (
        ('f/a/up', '..'),
        ('f/b/sub/self', '.'),
        ('f/a/loop', 'loop'),
        ('f/b/gone.jpg', 'nowhere'),
    ):
        pathlib.Path(link).symlink_to(to)
    assert folder.folder('f').ids == ('a/1.jpg', 'b/sub/2.jpg')


def test_a_linked_class_is_read_and_no_link_leaves_its_part():
    touch('f/train/cat/1.jpg', 'f/train/dog/2.jpg', 'f/test/cat/3.jpg', 'f/test/dog/4.jpg')
    touch('elsewhere/5.jpg', 'f/other/6.jpg')
    for link, to in (
        ('f/train/bird', '../../elsewhere'),
        ('f/train/cat/test', '../../test'),
        ('f/train/cat/root', '../..'),
        ('f/train/dog/other', '../../other'),
    ):
        pathlib.Path(link).symlink_to(to)
    listing = folder.folder('f')
    assert dict(zip(listing.ids, listing.parts, strict=True)) == {
        'train/bird/5.jpg': 'train',
        'train/cat/1.jpg': 'train',
        'train/dog/2.jpg': 'train',
        'train/dog/other/6.jpg': 'train',
        'test/cat/3.jpg': 'test',
        'test/dog/4.jpg': 'test',
    }


def test_many_files():
    for kind in 'ab':
        top = pathlib.Path('f') / kind
        top.mkdir(parents=True)
        for i in range(10_000):
            os.close(os.open(top / f'{i:05}.jpg', os.O_CREAT | os.O_WRONLY))
    listing = folder.folder('f')
    assert len(listing.ids) == 20_000
    assert np.bincount(listing.labels).tolist() == [10_000, 10_000]


BAD_FOLDERS = {
    'none': ([], 'none', 'no such folder'),
    'unnamed': ([], '', 'needs a path'),
    'a file': (['f'], 'f', 'is a file'),
    'empty': (['f/.hidden'], 'f', 'has no images'),
    'loose': (['f/1.jpg'], 'f', 'make one folder per class'),
    'one class': (['f/a/1.jpg'], 'f', "one class, 'a'"),
    'no image in a class': (['f/a/1.jpg', 'f/b/1.txt'], 'f', "one class, 'a'"),
    'one class in parts': (['f/train/a/1.jpg', 'f/test/a/1.jpg'], 'f', "one class, 'a'"),
    'two validations': (
        ['f/train/a/1.jpg', 'f/val/a/1.jpg', 'f/valid/a/1.jpg'],
        'f',
        'both the val split',
    ),
    'a name that is no text': (['f/a/1.jpg', 'f/b/\udcff.jpg'], 'f', 'not UTF-8'),
}


@pytest.mark.parametrize('kind', BAD_FOLDERS)
def test_wrong_folders(kind):
    files, where, words = BAD_FOLDERS[kind]
    touch(*files)
    with pytest.raises(InputError, match=words) as error:
        load(Data(dataset=f'folder:{where}'))
    assert '\n' not in str(error.value)


X, Y = np.arange(4 * 6 * 5 * 3, dtype=np.uint8).reshape(4, 6, 5, 3), np.array([10, 2, 10, 2])


def test_arrays_keep_their_values():
    np.savez('a.npz', images=X, labels=Y)
    listing = npz.npz('a.npz')
    np.testing.assert_array_equal(listing.images, X)
    assert listing.class_names == ('2', '10')
    assert listing.labels.tolist() == [1, 0, 1, 0]
    np.savez(
        'a.npz',
        x=X[..., 0] / 255,
        y=np.array(['b', 'a', 'b', 'a']),
        ids=np.array(list('wxyz')),
        groups=Y,
    )
    listing = npz.npz('a.npz')
    assert isinstance(listing.images, np.ndarray)
    assert listing.images.dtype == np.float32
    np.testing.assert_allclose(listing.images, X[..., :1] / 255, atol=1e-7)
    assert listing.ids == ('w', 'x', 'y', 'z')
    assert listing.groups == ('10', '2', '10', '2')
    np.savez('a.npz', images=X, labels=Y // 10, class_names=['zebra', 'ape', 'unused'])
    assert npz.npz('a.npz').class_names == ('zebra', 'ape')  # their own order


def test_one_hot_arrays_are_labels():
    np.savez('a.npz', images=X, labels=np.eye(3)[[0, 2, 2, 0]], class_names=list('abc'), other=Y)
    listing = npz.npz('a.npz')
    assert [listing.class_names[label] for label in listing.labels] == ['a', 'c', 'c', 'a']
    assert notes(listing) == {'Passed over: arrays': ('other',)}


@pytest.mark.parametrize('form', ['x_{}', '{}_images'])
def test_arrays_in_parts(form):
    label = form.replace('x_', 'y_').replace('images', 'labels')
    parts = {'train': X, 'val': X[:2], 'test': X[2:]}
    pairs = {form.format(p): x for p, x in parts.items()} | {
        label.format(p): Y[: len(x), None] for p, x in parts.items()
    }
    np.savez_compressed('a.npz', **pairs)
    listing = npz.npz('a.npz')
    assert listing.parts == ('train',) * 4 + ('val',) * 2 + ('test',) * 2
    np.testing.assert_array_equal(listing.images, np.concatenate(list(parts.values())))
    assert listing.ids[:2] == ('train/0', 'train/1')


BAD_ARRAYS = {
    'nothing': (dict(), 'holds nothing'),
    'other names': (dict(foo=X, bar=Y), "holds 'foo', 'bar'; right are images and labels"),
    'no labels': (dict(images=X), 'images has no labels'),
    'lengths': (dict(images=X, labels=Y[:3]), 'n differs'),
    'one-hot of others': (dict(images=X, labels=np.eye(3)), 'n differs'),
    'one-hot without a class': (dict(images=X, labels=np.eye(4) * (Y < 9)[:, None]), 'have a 1'),
    'several labels': (dict(images=X, labels=np.ones((4, 2))), 'single-label classification only'),
    'scalar': (dict(images=np.uint8(3), labels=Y), 'n differs'),
    'pickled': (dict(images=X, labels=np.array(list('abcd'), object)), 'pickle'),
    'flat': (dict(images=X.reshape(4, -1), labels=Y), r'right is \[n, height, width\]'),
    'no pixels': (dict(images=X[:, :0], labels=Y), r'right is \[n, height, width\]'),
    'no images': (dict(images=X[:0], labels=Y[:0]), r'right is \[n, height, width\]'),
    'channels first': (dict(images=X.transpose(0, 3, 1, 2), labels=Y), 'channels come last'),
    'int64': (dict(images=X.astype(np.int64), labels=Y), 'right is uint8, or float'),
    'float to 255': (dict(images=X.astype(np.float32), labels=Y), 'divide it'),
    'NaN': (dict(images=X * np.float32(np.nan), labels=Y), 'divide it'),
    'float labels': (dict(images=X, labels=Y / 2), 'labels of images are float64'),
    'one class': (dict(images=X, labels=Y * 0), 'one class'),
    'an empty class': (dict(images=X, labels=['', 'a', 'b', 'c']), 'empty class name'),
    'few names': (
        dict(images=X, labels=Y, class_names=['a', 'b']),
        'labels of images are 2 to 10, class_names 2',
    ),
    'a name twice': (dict(images=X, labels=Y, class_names=['a'] * 11), 'a name twice'),
    'an id twice': (dict(images=X, labels=Y, ids=list('abca')), "the id 'a' occurs twice"),
    'few ids': (dict(images=X, labels=Y, ids=list('abc')), 'ids is'),
    'parts differ': (dict(x_train=X, y_train=Y, x_test=X[:, 1:], y_test=Y), 'the parts differ'),
    'no train': (dict(x_test=X, y_test=Y), 'right are images and labels'),
}


@pytest.mark.parametrize('kind', BAD_ARRAYS)
def test_wrong_arrays(kind):
    content, words = BAD_ARRAYS[kind]
    np.savez('a.npz', **content)
    with pytest.raises(InputError, match=words) as error:
        load(Data(dataset='npz:a.npz'))
    assert '\n' not in str(error.value)


def test_archives_that_are_none():
    np.savez('a.npz', images=X, labels=Y)
    whole = pathlib.Path('a.npz').read_bytes()
    for data in (
        b'',
        b'no zip',
        whole[:300],
        whole.replace(X.tobytes()[:9], b'123456789'),
        whole[50:],
    ):
        pathlib.Path('b.npz').write_bytes(data)
        with pytest.raises(InputError, match=r'b\.npz is damaged or no \.npz'):
            npz.npz('b.npz')
    np.save('c.npy', X)
    with pytest.raises(InputError, match=r'c\.npy is damaged or no \.npz'):
        npz.npz('c.npy')
    with pytest.raises(InputError, match='no such file'):
        npz.npz('d.npz')


BUILTIN = dict(
    digits=((8, 8, 1), np.uint8, 10),
    hard_digits=((12, 12, 3), np.uint8, 10),
    breast_cancer=((1, 1, 30), np.float32, 2),
    moons=((1, 1, 2), np.float32, 2),
)


@pytest.mark.parametrize('name', builtin.SOURCES)
def test_builtin_sources_have_their_shape_and_never_change(name):
    source, (shape, dtype, number) = builtin.SOURCES[name], BUILTIN[name]
    listing, again = source(''), source('')
    assert isinstance(listing.images, np.ndarray)
    assert listing.images.shape == (len(listing.ids), *shape)
    assert listing.images.dtype == dtype
    assert listing.labels.dtype == np.int32
    assert len(listing.class_names) == number == len(set(listing.labels.tolist()))
    np.testing.assert_array_equal(listing.images, again.images)
    with pytest.raises(InputError, match=f'--dataset={name}:here: .*--dataset={name}'):
        source('here')


def test_hugging_face_sets(monkeypatch):
    datasets = pytest.importorskip('datasets')
    pil = pytest.importorskip('PIL.Image')
    monkeypatch.setenv('HF_HUB_OFFLINE', '1')
    monkeypatch.setattr(datasets.config, 'HF_HUB_OFFLINE', True)
    monkeypatch.setattr(datasets.config, 'HF_DATASETS_CACHE', 'cache')
    files = []
    for i in range(4):
        data = io.BytesIO()
        pil.fromarray(X[i]).save(data, 'PNG')
        files.append(data.getvalue())
    features = datasets.Features(
        picture=datasets.Image(), kind=datasets.ClassLabel(names=['zebra', 'ape'])
    )
    rows = dict(picture=[dict(bytes=f, path=None) for f in files], kind=[0, 1, 1, 0])
    table = datasets.Dataset.from_dict(rows, features=features)
    table.save_to_disk('one')
    hidden = datasets.Dataset.from_dict(rows | dict(kind=[-1] * 4), features=features)
    datasets.DatasetDict(train=table, validation=table, test=table, extra=table).save_to_disk(
        'three'
    )
    datasets.DatasetDict(train=table, test=hidden).save_to_disk('unlabelled')
    pathlib.Path('many').mkdir()
    for name in ('train', 'test'):
        table.to_parquet(f'many/{name}-00000-of-00001.parquet')
    for where in ('one', 'many/train-00000-of-00001.parquet', 'unlabelled'):
        listing = huggingface.hf(where)
        assert list(listing.images) == files, where
        assert (listing.labels.tolist(), listing.class_names, listing.parts) == (
            [0, 1, 1, 0],
            ('zebra', 'ape'),
            None,
        )
    assert huggingface.hf('three').parts == ('train',) * 4 + ('val',) * 4 + ('test',) * 4
    assert notes(huggingface.hf('three')) == {'Left out: splits': ('extra',)}
    assert huggingface.hf('many').parts == ('train',) * 4 + ('test',) * 4
    assert list(huggingface.hf('many').take([5, 0]).images) == [files[1], files[0]]
    assert huggingface.hf('one').groups is None
    assert huggingface.hf('many', group_column='Kind').groups == ('0', '1', '1', '0') * 2
    for options, words in (
        (dict(image_column='kind'), 'encoded images'),
        (dict(label_column='x'), "no 'x'"),
        (dict(group_column='x'), "the column of groups: there is no 'x'"),
    ):
        with pytest.raises(InputError, match=words):
            huggingface.hf('one', **options)
    with pytest.raises(InputError, match='needs the network') as error:
        huggingface.hf('nobody/nothing')
    assert '\n' not in str(error.value)


@pytest.mark.skipif(not GROCERY.exists(), reason='the shared images are not here')
def test_the_grocery_images_in_both_their_forms():
    table, challenge = csv_table.csv(str(GROCERY / 'train.csv')), foodc.foodc(str(GROCERY))
    rows = (GROCERY / 'train.csv').read_text().split()[1:]
    assert [f'{i},{name}' for i, name in classes(table).items()] == rows
    assert table.images == challenge.images
    assert table.ids == challenge.ids
    assert all(isinstance(p, pathlib.Path) and p.is_file() for p in table.images)


@pytest.mark.parametrize(
    ('dataset', 'right'),
    [('few.npz', 'npz:few.npz'), ('few.csv', 'csv:few.csv'), ('photos', 'folder:photos')],
)
def test_a_path_without_its_kind_is_named_with_it(dataset, right, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'photos').mkdir()
    with pytest.raises(InputError, match=f'must be --dataset={right}$'):
        load(Data(dataset=dataset))
