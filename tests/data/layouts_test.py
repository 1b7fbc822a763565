"""Folders as people have them: splits, groups, wrappers, classes in file names, or one line."""

import json
import pathlib
import re
import shlex

import numpy as np
import pytest
import tiny
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trees import content, notes, touch

from jaxdl.cli import flags
from jaxdl.config.overrides import parse_value
from jaxdl.data import Data, audit, load, loading, split
from jaxdl.data.sources import class_names, columns, files, folder, layout
from jaxdl.errors import InputError
from jaxdl.report.page import blocks, data_check

SPLITS = 'Folders recognised as splits'
INNER = 'Read from the only folder inside'
LOOSE = 'Left out: images that are not in a class folder'


def both(*tops):
    """Two classes in each of two folders of splits."""
    return [f'f/{top}/{kind}/{i}.jpg' for i, top in enumerate(tops) for kind in ('cat', 'dog')]


def train_and_test(first, second):
    return {
        f'{part} {kind} {top}/{kind}/{i}.jpg'
        for i, (part, top) in enumerate((('train', first), ('test', second)))
        for kind in ('cat', 'dog')
    }


NAMES = {
    ('train', 'dev'): ('dev/ as val',),
    ('seg_train', 'seg_test'): ('seg_train/ as train', 'seg_test/ as test'),
    ('train_set', 'test_set'): ('train_set/ as train', 'test_set/ as test'),
    ('TrainingData', 'TestData'): ('TrainingData/ as train', 'TestData/ as test'),
    ('train2017', 'val2017'): ('train2017/ as train', 'val2017/ as val'),
    ('trn', 'holdout'): ('trn/ as train', 'holdout/ as test'),
    ('train', 'evaluation'): ('evaluation/ as test',),
    ('birds-train', 'birds-test'): ('birds-train/ as train', 'birds-test/ as test'),
}


@pytest.mark.parametrize('names', NAMES)
def test_splits_under_other_names(names):
    touch(*both(*names))
    listing = folder.folder('f')
    assert content(listing) == train_and_test(*names)
    assert set(notes(listing)[SPLITS]) == set(NAMES[names])


def test_evaluation_is_validation_next_to_a_test():
    touch(*both('training', 'validation', 'evaluation'))  # as in Food-11
    assert set(folder.folder('f').parts or ()) == {'train', 'val', 'test'}
    touch(*(name.replace('f/', 'g/') for name in both('train', 'eval', 'test')))
    listing = folder.folder('g')
    assert {i.split('/')[0]: p for i, p in zip(listing.ids, listing.parts, strict=True)} == {
        'train': 'train',
        'eval': 'val',
        'test': 'test',
    }


LAYOUTS = {
    'doubled folders': (
        ['f/train/train/cat/1.jpg', 'f/train/train/dog/2.jpg', 'f/test/test/cat/3.jpg'],
        {
            'train cat train/train/cat/1.jpg',
            'train dog train/train/dog/2.jpg',
            'test cat test/test/cat/3.jpg',
        },
        {},
    ),
    'one wrapping folder': (
        ['f/archive/photos v2/cat/1.jpg', 'f/archive/photos v2/dog/2.jpg'],
        {'cat archive/photos v2/cat/1.jpg', 'dog archive/photos v2/dog/2.jpg'},
        {INNER: ('archive/photos v2/',)},
    ),
    'a wrapped split': (
        ['f/data/train/cat/1.jpg', 'f/data/train/dog/2.jpg', 'f/data/test/cat/3.jpg'],
        {
            'train cat data/train/cat/1.jpg',
            'train dog data/train/dog/2.jpg',
            'test cat data/test/cat/3.jpg',
        },
        {INNER: ('data/',)},
    ),
    'images and annotations': (
        ['f/images/cat/1.jpg', 'f/images/dog/2.jpg', 'f/annotations/cat/1.png'],
        {'cat images/cat/1.jpg', 'dog images/dog/2.jpg'},
        {INNER: ('images/',), 'Left out: folders': ('annotations/',)},
    ),
    'images and masks in each class': (
        [
            *('f/ill/images/1.png', 'f/ill/masks/1.png'),
            *('f/well/images/2.png', 'f/well/masks/2.png'),
        ],
        {'ill ill/images/1.png', 'well well/images/2.png'},
        {'Left out: masks and annotations next to images': ('ill/masks/', 'well/masks/')},
    ),
    'classes with a folder of images each': (  # as in Tiny ImageNet
        ['f/train/n01/images/1.jpg', 'f/train/n02/images/2.jpg', 'f/val/n01/images/3.jpg'],
        {
            'train n01 train/n01/images/1.jpg',
            'train n02 train/n02/images/2.jpg',
            'test n01 val/n01/images/3.jpg',
        },
        {columns.AS_TEST: ()},
    ),
    'splits in each class': (
        ['f/cat/train/1.jpg', 'f/cat/test/2.jpg', 'f/dog/train/3.jpg', 'f/dog/test/4.jpg'],
        {
            'train cat cat/train/1.jpg',
            'test cat cat/test/2.jpg',
            'train dog dog/train/3.jpg',
            'test dog dog/test/4.jpg',
        },
        {SPLITS: ('CLASS/test/ as test', 'CLASS/train/ as train')},
    ),
    'splits with another word in each class, next to an empty folder': (
        ['f/cat/b-train/1.jpg', 'f/cat/b-test/2.jpg', 'f/dog/b-train/3.jpg', 'f/ox/x'],
        {'train cat cat/b-train/1.jpg', 'test cat cat/b-test/2.jpg', 'train dog dog/b-train/3.jpg'},
        {
            SPLITS: ('CLASS/b-test/ as test', 'CLASS/b-train/ as train'),
            'Left out: class folders without an image': ('ox/',),
        },
    ),
    'splits in each class, with images and empty folders beside': (
        [*('f/cat/train/1.jpg', 'f/cat/test/2.jpg', 'f/dog/train/3.jpg', 'f/dog/4.jpg'), 'f/ox/x'],
        {'train cat cat/train/1.jpg', 'test cat cat/test/2.jpg', 'train dog dog/train/3.jpg'},
        {
            SPLITS: ('CLASS/test/ as test', 'CLASS/train/ as train'),
            'Left out: images next to the folders of splits and groups': ('dog/4.jpg',),
            'Left out: class folders without an image': ('ox/',),
        },
    ),
    'a folder around the classes of each split': (
        [
            *('f/train/flowers/rose/1.jpg', 'f/train/flowers/lily/2.jpg'),
            *('f/test/images/rose/3.jpg', 'f/test/masks/rose/3.png'),
        ],
        {
            'train rose train/flowers/rose/1.jpg',
            'train lily train/flowers/lily/2.jpg',
            'test rose test/images/rose/3.jpg',
        },
        {INNER: ('train/flowers/',), 'Left out: folders': ('test/masks/',)},
    ),
    'a class of the test alone': (
        ['f/train/cat/1.jpg', 'f/train/dog/2.jpg', 'f/test/cat/3.jpg', 'f/test/unknown/4.jpg'],
        {'train cat train/cat/1.jpg', 'train dog train/dog/2.jpg', 'test cat test/cat/3.jpg'},
        {
            'Left out: classes without training images': ('unknown',),
            'Left out: images of classes without training images': ('test/unknown/4.jpg',),
        },
    ),
    'hidden and system folders': (
        [
            *('f/cat/1.jpg', 'f/dog/2.jpg', 'f/cat/._1.jpg', 'f/cat/Thumbs.db', 'f/dog/~$2.jpg'),
            *('f/.ipynb_checkpoints/1.jpg', 'f/__MACOSX/cat/1.jpg', 'f/.git/1.jpg'),
            *('f/@eaDir/1.jpg', 'f/cat/@eaDir/1.jpg', 'f/$RECYCLE.BIN/1.jpg'),
        ],
        {'cat cat/1.jpg', 'dog dog/2.jpg'},
        {},
    ),
    'files that are no images, and loose images': (
        ['f/cat/1.jpg', 'f/dog/2.jpg', 'f/dog/2.txt', 'f/README', 'f/all.csv', 'f/3.jpg'],
        {'cat cat/1.jpg', 'dog dog/2.jpg'},
        {
            LOOSE: ('3.jpg',),
            'Passed over: files that are no images': ('1 without suffix', '1 .csv', '1 .txt'),
        },
    ),
    'classes that are empty or cannot be read': (
        ['f/cat/1.jpg', 'f/dog/2.jpg', 'f/bird/x', 'f/fish/3.psd', 'f/newt/.keep'],
        {'cat cat/1.jpg', 'dog dog/2.jpg'},
        {
            'Left out: class folders without an image': ('bird/', 'fish/', 'newt/'),
            'Passed over: images of other kinds (convert them to JPEG or PNG)': ('1 .psd',),
            'Passed over: files that are no images': ('1 without suffix',),
        },
    ),
    'classes with names like splits': (
        ['f/training_wheel/1.jpg', 'f/test_tube/a/2.jpg', 'f/val/b/3.jpg'],
        {'training_wheel training_wheel/1.jpg', 'test_tube test_tube/a/2.jpg', 'val val/b/3.jpg'},
        {},
    ),
}


@pytest.mark.parametrize('kind', LAYOUTS)
def test_layouts(kind):
    names, expected, findings = LAYOUTS[kind]
    touch(*names)
    listing, _ = loading._select_trained(folder.folder('f'))
    assert content(listing) == expected
    assert {k: set(v) for k, v in notes(listing).items()} == {
        k: set(v) for k, v in findings.items()
    }


def test_folds_are_groups():
    touch(*both('fold1', 'fold2', 'fold3'))
    listing = folder.folder('f')
    assert listing.class_names == ('cat', 'dog')
    assert listing.parts is None
    assert set(listing.groups or ()) == {'fold1', 'fold2', 'fold3'}
    assert notes(listing)['Folds, each in one split as a whole'] == ('fold1/', 'fold2/', 'fold3/')


def test_folds_may_have_different_classes():
    touch('f/fold1/cat/a/1.jpg', 'f/fold1/cat/b/2.jpg', 'f/fold2/dog/3.jpg', 'f/fold2/ox/4.jpg')
    listing = folder.folder('f')
    assert content(listing) == {
        'cat fold1/cat/a/1.jpg',
        'cat fold1/cat/b/2.jpg',
        'dog fold2/dog/3.jpg',
        'ox fold2/ox/4.jpg',
    }
    assert set(listing.groups or ()) == {'fold1', 'fold2'}
    touch('g/anna/cat/a/1.jpg', 'g/ben/dog/2.jpg')
    assert folder.folder('g', split_folders='groups').class_names == ('cat', 'dog')


REFUSED = {
    'a split next to another folder': (
        ['f/train/cat/1.jpg', 'f/train/dog/2.jpg', 'f/extra/3.jpg'],
        'train/ holds class folders, and extra/ is no split',
    ),
    'a split with another word next to another folder': (
        ['f/birds-train/cat/1.jpg', 'f/birds-train/dog/2.jpg', 'f/extra/3.jpg'],
        'birds-train/ holds class folders, and extra/ is no split',
    ),
    'folds without classes': (
        ['f/fold1/1.jpg', 'f/fold2/2.jpg'],
        'have no class folders: take the',
    ),
    'splits in some classes': (
        ['f/cat/train/1.jpg', 'f/cat/test/2.jpg', 'f/dog/3.jpg'],
        'cat/ holds the folders test, train, and dog/ has images without such folders',
    ),
    'unknown splits': (both('first', 'second'), 'all hold the folders cat, dog, so they are'),
    'some classes only': (
        [*both('a', 'b'), 'f/b/bird/1.jpg', 'f/c/cat/9.jpg'],
        'a/, b/, c/ all hold the folders',
    ),
    'next to loose images': ([*both('a', 'b'), 'f/new/1.jpg'], 'are splits or groups, not classes'),
    'two trainings': (both('train1', 'train2', 'test'), 'train1/ and train2/ are both the train'),
    'no training': (both('val', 'test'), 'are splits or groups, not classes'),
    'Kaggle without a table': (
        ['f/train/1.jpg', 'f/test/2.jpg'],
        'train/ and test/ have images but no class folders: take the classes from a table',
    ),
    'one split without classes': (['f/train/1.jpg', 'f/train/2.jpg'], 'no class folders'),
    'images and labels of a detector': (
        ['f/train/images/1.jpg', 'f/train/labels/1.txt', 'f/val/images/2.jpg'],
        'train/ and val/ have images but no class folders',
    ),
    'an empty class': (['f/cat/1.jpg', 'f/dog/2.txt'], "one class, 'cat'"),
}


@pytest.mark.parametrize('kind', REFUSED)
def test_layouts_that_are_not_clear(kind):
    names, words = REFUSED[kind]
    touch(*names)
    with pytest.raises(InputError, match=re.escape(words)) as error:
        load(Data(dataset='folder:f'))
    assert '\n' not in str(error.value)


def suggestions(error):
    """Values of the fields in the flags that a message suggests, read as the command line does."""
    flagged = [word for word in shlex.split(re.sub('[(),]? ', ' ', str(error))) if '--' in word]
    for word in flagged:
        flag = re.match(r'\(?--set=(.*?)[,;:)]*$', word)
        if flag:
            ((key, value),) = flags.parse_pairs([flag[1]])
            yield {key: parse_value(str, value)}


@pytest.mark.parametrize(
    'names',
    [
        both('first', 'second'),
        both('train1', 'train2', 'test'),
        both('a', 'b', 'c'),
        [*both('train'), 'f/extra/3.jpg'],
        [name.replace('f/', 'f/in side/') for name in both('a', 'b')],
    ],
)
def test_every_flag_that_a_message_suggests_solves_it(names):
    touch(*names)
    with pytest.raises(InputError) as error:
        folder.folder('f')
    options = list(suggestions(error.value))
    assert options
    for option in options:
        assert len(folder.folder('f', **option).ids) >= 2, option


def test_split_folders_name_splits_groups_and_classes():
    touch(*both('x, y', 'b', 'c'), 'f/d/readme.txt')
    named = folder.folder('f', split_folders='test=b,train=x, y')
    assert content(named) == train_and_test('x, y', 'b')
    assert notes(named)['Left out: folders'] == ('c/', 'd/')
    groups = folder.folder('f', split_folders='groups')
    assert groups.class_names == ('cat', 'dog')
    assert sorted(set(groups.groups or ())) == ['b', 'c', 'x, y']
    touch('f/d/1.jpg')
    assert folder.folder('f', split_folders='classes').class_names == ('b', 'c', 'd', 'x, y')
    merged = folder.folder('f', split_folders='train=b,train=c,test=x, y')
    assert list(merged.parts or ()).count('train') == 4
    for value, words in (
        ('train=b,test=e', "has no folder 'e'"),
        ('train=b,test=b', "'b' is in two splits"),
        ('train=b,test=b/cat', 'inside another folder'),
        ('train=../f,test=b', 'leaves the image folder'),
    ):
        with pytest.raises(InputError, match=words):
            folder.folder('f', split_folders=value)
    assert all(map(layout.check_split_folders, ('test=b', 'a', 'train', 'train=,test=b', 'x=b')))


PATTERNS = {
    'dogs and cats': ['train/cat.0.jpg', 'train/cat.1.jpg', 'train/dog.0.jpg', 'train/dog.1.jpg'],
    'pets': [f'{kind}_{i}.jpg' for kind in ('american_bulldog', 'Abyssinian') for i in (1, 100)],
    'Windows': [f'{kind} ({i}).jpg' for kind in ('cat', 'dog') for i in (1, 2)],
    'numbers first': [f'{i:03}-{kind}.png' for i in (1, 2) for kind in ('cat', 'dog')],
}


@pytest.mark.parametrize('kind', PATTERNS)
def test_classes_in_file_names_are_suggested_and_read(kind):
    touch(*(f'f/{name}' for name in PATTERNS[kind]), 'f/test1/1.jpg')
    if not PATTERNS[kind][0].startswith('train'):
        pathlib.Path('f/test1/1.jpg').unlink()
        pathlib.Path('f/test1').rmdir()
    with pytest.raises(InputError, match='take the classes from the file names') as error:
        folder.folder('f')
    (option,) = suggestions(error.value)
    listing = folder.folder('f', **option)
    assert len(listing.ids) == 4
    assert listing.parts is None
    expected = {'pets': ('Abyssinian', 'american_bulldog')}.get(kind, ('cat', 'dog'))
    assert listing.class_names == expected
    assert all(
        listing.class_names[label] in i
        for i, label in zip(listing.ids, listing.labels, strict=True)
    )


def test_label_patterns():
    touch('f/train/cat_1.jpg', 'f/train/dog_2.jpg', 'f/train/odd.jpg', 'f/test/cat_3.jpg')
    listing = folder.folder('f', label_pattern=r'^(?P<label>[a-z]+)_')
    assert content(listing) == {
        'train cat train/cat_1.jpg',
        'train dog train/dog_2.jpg',
        'test cat test/cat_3.jpg',
    }
    found = 'Left out: file names that do not match label_pattern'
    assert notes(listing) == {found: ('train/odd.jpg',)}
    touch('g/cat/red/1.jpg', 'g/dog/red/2.jpg', 'g/dog/blue/3.jpg')
    of_path = folder.folder('g', label_pattern='/(?P<label>[a-z]+)/')
    assert of_path.class_names == ('blue', 'red')
    with pytest.raises(InputError, match='f has no file names that match label_pattern; the first'):
        folder.folder('f', label_pattern='(?P<label>[A-Z]+)')
    for wrong in ('(cat)', '(?P<label>', '(?P<kind>a)'):
        assert folder.check_label_pattern(wrong)


def test_a_table_next_to_loose_images_is_suggested():
    touch('k/train/1.jpg', 'k/train/2.jpg', 'k/test/3.jpg')
    pathlib.Path('k/notes.csv').write_text('a,b\n1,2\n')
    pathlib.Path('k/train.csv').write_text('id,label\n1,cat\n2,dog\n')
    with pytest.raises(InputError, match='from the table') as error:
        folder.folder('k')
    assert '--dataset=csv:k/train.csv' in str(error.value)
    pathlib.Path('k/train.csv').rename('k/SampleSubmission.csv')
    with pytest.raises(InputError) as error:
        folder.folder('k')
    assert 'csv:k/' not in str(error.value)


SPELLINGS = {
    'Unicode': ('Caf\xe9', 'Cafe\u0301'),
    'spaces at the end': ('cat', 'cat '),
    'spaces within': ('red cat', 'red  cat'),
}


@pytest.mark.parametrize('kind', SPELLINGS)
def test_one_class_in_two_spellings(kind):
    first, second = SPELLINGS[kind]
    touch(f'f/{first}/1.jpg', f'f/{first}/2.jpg', f'f/{second}/3.jpg', 'f/dog/4.jpg')
    if not pathlib.Path(f'f/{second}/3.jpg').exists() or len(list(pathlib.Path('f').iterdir())) < 3:
        pytest.skip('this file system has one folder for both')
    listing = folder.folder('f')
    assert len(listing.ids) == 4
    assert set(listing.class_names) == {first, 'dog'}  # the more frequent spelling
    assert list(notes(listing)) == [class_names.SPELLING]


def test_case_is_named_and_kept():
    touch('f/Cat/1.jpg', 'f/cat/2.jpg')
    listing = folder.folder('f')
    assert listing.class_names == ('Cat', 'cat')
    assert notes(listing) == {class_names.CASE: ('Cat, cat',)}


@pytest.mark.parametrize(
    ('names', 'sets'),
    [
        (['scab', 'rust', 'scab rust'], {'scab rust': ('scab', 'rust')}),
        (['a', 'b', 'c', 'a,b', 'b, c'], {'a,b': ('a', 'b'), 'b, c': ('b', 'c')}),
        (['a|b', 'b|c', 'c|a'], {'a|b': ('a', 'b'), 'b|c': ('b', 'c'), 'c|a': ('c', 'a')}),
        (['a', "['a', 'b']"], {"['a', 'b']": ('a', 'b')}),
        (['rice, white', 'rice, brown', 'bread, white'], {}),
        (['dog', 'hot dog', 'fox terrier'], {}),
        (['n01 tench, Tinca tinca', 'goldfish'], {}),
    ],
)
def test_names_that_are_several_labels(names, sets):
    assert class_names.label_sets(names) == sets


def test_several_labels_are_refused_left_out_or_classes():
    touch('f/scab/1.jpg', 'f/rust/2.jpg', 'f/scab rust/3.jpg')
    with pytest.raises(InputError, match='jaxdl has single-label classification only') as error:
        folder.folder('f')
    assert '\n' not in str(error.value)
    skip, keep = (folder.folder('f', **option) for option in suggestions(error.value))
    assert content(skip) == {'scab scab/1.jpg', 'rust rust/2.jpg'}
    assert notes(skip) == {'Left out: several labels per image': ('scab rust/3.jpg',)}
    assert keep.class_names == ('rust', 'scab', 'scab rust')


def test_settings_of_other_sources_are_named():
    touch('f/cat/1.jpg', 'f/dog/2.jpg')
    listing = loading.read_listing(Data(dataset='folder:f', label_column='x', images='f'))
    assert notes(listing) == {
        'Settings without effect on --dataset=folder': ('images', 'label_column')
    }


NAME = st.sampled_from(
    ['train', 'test', 'val', 'a', 'b', 'cat', 'dog', 'images', 'masks', 'fold1', 'fold2', '.x']
)
LEAF = st.sampled_from(['1.jpg', '2.jpg', 'cat.0.jpg', 'cat.1.jpg', 'x.txt', '.h.jpg'])
PATH = st.tuples(st.lists(NAME, max_size=4), LEAF).map(lambda pair: '/'.join((*pair[0], pair[1])))


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(PATH, max_size=12, unique=True))
def test_random_trees_are_accounted_for_or_refused_in_one_line(tmp_path_factory, names):
    top = tmp_path_factory.mktemp('tree')
    touch(*(top / name for name in names), top / 'x.txt')
    visible = [name for name in names if name.endswith('.jpg') and '/.' not in f'/{name}']
    listing, problem = None, ''
    try:
        listing = folder.folder(str(top))
    except InputError as error:
        problem = str(error)
    assert '\n' not in problem
    if listing is None:
        return
    left_out = [
        name
        for note in listing.notes
        if note.finding.startswith('Left out')
        for name in note.examples
    ]
    for name in visible:  # each image is in the listing or below a name of a note
        assert name in listing.ids or any(name.startswith(other) for other in left_out), name
    assert files.walk(top).images == sorted(
        name for name in visible if not is_beside_images(name, visible, names)
    )


def is_beside_images(name, visible, names):
    """Whether a folder of the path is `masks` with a folder `images` next to it."""
    tops = [name.split('/')[:i] for i, part in enumerate(name.split('/')) if part == 'masks']
    return any(
        '/'.join((*top, 'images', '')) in '\n' + n for top in tops for n in beside(top, names)
    )


def beside(top, names):
    return ['\n' + n for n in names if n.split('/')[: len(top) + 1] == [*top, 'images']]


def photographs(top, kinds=('cat', 'dog'), count=6):
    rng = np.random.default_rng(0)
    for kind in kinds:
        tiny.files(top / kind, rng.integers(0, 256, (count, 8, 8, 3), np.uint8))


def test_notes_are_on_stderr_in_the_data_check_and_in_the_report(tmp_path, capsys):
    photographs(tmp_path / 'f')
    touch('f/cat/1.txt', 'f/bird/x.psd', 'f/0.png')
    data = Data(dataset='folder:f', image_size=8)
    dataset = load(data)
    assert capsys.readouterr().err.splitlines() == [
        f'jaxdl: f: {LOOSE}: 1 (0.png)',
        'jaxdl: f: Left out: class folders without an image: 1 (bird/)',
        'jaxdl: f: Passed over: images of other kinds (convert them to JPEG or PNG): 1 (1 .psd)',
        'jaxdl: f: Passed over: files that are no images: 1 (1 .txt)',
    ]
    findings = audit.examine(dataset, split(dataset, data))
    assert json.loads(json.dumps(findings))['notes'][0] == dict(
        finding=LOOSE, count=1, examples=['0.png']
    )
    result = data_check.finding_blocks(findings, tmp_path / 'none.npz', 'x')
    _, table = (block for block in result if isinstance(block, blocks.Table))
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows[LOOSE][0] == '1'
    assert '0.png' in rows[LOOSE][1]


def test_a_class_of_broken_images_alone_is_left_out(tmp_path, capsys):
    photographs(tmp_path / 'f', ('cat', 'dog', 'fish'))
    touch('f/bird/1.png', 'f/bird/2.png', 'f/cat/9.png')
    with pytest.raises(InputError, match=r'3 of 21 images cannot be decoded.*on_bad_image=skip'):
        load(Data(dataset='folder:f', image_size=8))
    dataset = load(Data(dataset='folder:f', image_size=8, on_bad_image='skip'))
    assert dataset.class_names == ('cat', 'dog', 'fish')
    assert np.bincount(dataset.labels).tolist() == [6, 6, 6]
    assert len(dataset.images) == len(dataset.ids) == len(dataset.digests) == 18
    err = capsys.readouterr().err
    assert 'f: Left out: classes without training images: 1 (bird)' in err
    assert 'f: Left out: cannot be decoded: 3 (bird/1.png an empty file, ' in err
    photographs(tmp_path / 'g', ('cat',))
    touch('g/bird/1.png')
    with pytest.raises(InputError, match="one class, 'cat'; two classes are needed"):
        load(Data(dataset='folder:g', image_size=8, on_bad_image='skip'))
