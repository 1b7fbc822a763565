"""Prediction files: the same values when read again; no file that misfits test.csv."""

import csv
import pathlib
import re
import shlex

import numpy as np
import pytest
import tiny

from jaxdl.errors import InputError
from jaxdl.inference import submission

NAMES = ('rice, white', 'say "tea"', 'caf\u00e9\nau lait', 'd\re', 'e', '=cmd()')


def read(path):
    with path.open(newline='', encoding='utf-8') as file:
        return list(csv.reader(file))


def test_the_five_likeliest_classes_best_first(tmp_path):
    likely = np.random.default_rng(0).dirichlet(np.ones(6), 4).astype(np.float32)
    submission.write_predictions(tmp_path / 'p.csv', list('abcd'), NAMES, likely)
    header, *rows = read(tmp_path / 'p.csv')
    assert ','.join(header) == (
        'ImageId,ClassName,probability,class_2,probability_2,class_3,probability_3,'
        'class_4,probability_4,class_5,probability_5'
    )
    for row, name, probabilities in zip(rows, 'abcd', likely, strict=True):
        assert row[0] == name
        assert row[1::2] == [NAMES[i] for i in np.argsort(-probabilities)[:5]]
        np.testing.assert_array_equal(
            np.float32(row[2::2]), np.sort(probabilities)[::-1][:5]
        )  # to the last bit


def test_fewer_classes_leave_cells_empty_and_of_equals_the_first_wins(tmp_path):
    submission.write_predictions(tmp_path / 'p.csv', ['a'], ['x', 'y'], np.array([[0.5, 0.5]]))
    assert read(tmp_path / 'p.csv')[1] == ['a', 'x', '0.5', 'y', '0.5', '', '', '', '', '', '']


@pytest.mark.parametrize('name', ['=1+1', '+1', '-1.jpg', '-1', '@SUM(A1)', '\t=1', '\r=1'])
@pytest.mark.parametrize('columns_of', submission.PROBABILITIES)
def test_names_are_written_as_they_are_or_safe_for_a_spreadsheet(tmp_path, name, columns_of):
    row = np.array([[0.25, 0.75]])
    for safe, written in ((False, name), (True, f"'{name}")):
        submission.write_predictions(
            tmp_path / 'p.csv',
            [name],
            ['x', name],
            row,
            columns_of=columns_of,
            spreadsheet_safe=safe,
        )
        header, cells = read(tmp_path / 'p.csv')
        assert cells[:2] == [written, written]
        assert columns_of == 'top' or header == ['ImageId', 'ClassName', 'x', written]


def test_all_probabilities_in_columns_of_the_classes(tmp_path):
    likely = np.random.default_rng(0).dirichlet(np.ones(6), 4).astype(np.float32)
    submission.write_predictions(
        tmp_path / 'p.csv', list('abcd'), NAMES, likely, columns_of='all', reasons={2: 'cut short'}
    )
    header, *rows = read(tmp_path / 'p.csv')
    assert header == ['ImageId', 'ClassName', *NAMES, 'reason']
    assert rows[2] == ['c', *[''] * 7, 'cut short']
    np.testing.assert_array_equal(np.float32([rows[i][2:-1] for i in (0, 1, 3)]), likely[[0, 1, 3]])
    assert [rows[i][1] for i in (0, 1, 3)] == [NAMES[c] for c in likely[[0, 1, 3]].argmax(1)]
    with pytest.raises(InputError, match="class 'reason' has the name of another column"):
        submission.prediction_columns(['reason', 'x'], 'all', True)


def test_many_rows_are_written_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(submission, 'BLOCK', 3)
    likely = np.random.default_rng(0).dirichlet(np.ones(2), 10).astype(np.float32)
    ids = [f'{i}.jpg' for i in range(10)]
    submission.write_predictions(tmp_path / 'p.csv', ids, ['x', 'y'], likely)
    assert [row[0] for row in read(tmp_path / 'p.csv')[1:]] == ids
    cells = [row[2] for row in read(tmp_path / 'p.csv')[1:]]
    np.testing.assert_array_equal(np.float32(cells), likely.max(1))


CLASSES = ('cat', 'dog', 'red fox')
LIKELY = np.float32([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
IDS = ['test/2.jpg', 'test/1.jpg', 'test/10.jpg', 'test/3.jpg']
SAMPLES = {
    'id and class': (
        'id,label\n1,cat\n2,cat\n3,cat\n10,cat\n',
        '',
        ['dog', 'cat', 'red fox', 'dog'],
    ),
    'names with extensions': (
        'image,labels\n10.jpg,dog\n1.jpg,red  fox\n2.jpg,dog\n3.jpg,dog\n',
        '',
        ['dog', 'dog', 'cat', 'red  fox'],
    ),
    'values': ('id,label\n1,0\n2,0\n3,0\n10,0\n', 'cat=0,dog=1,red fox=2', ['1', '0', '2', '1']),
    'probability of a class': (
        'id,label\n1,0.5\n2,0.5\n3,0.5\n10,0.5\n',
        'dog',
        ['0.6', '0.2', '0.1', '0.5'],
    ),
    'names where the sample has others': (
        'id,label\n1,?\n2,?\n3,?\n10,?\n',
        'names',
        ['dog', 'cat', 'red fox', 'dog'],
    ),
    'zeros in front': ('id,label\n0001,cat\n0002,cat\n0003,cat\n0010,cat\n', '', None),
}


@pytest.mark.parametrize('kind', SAMPLES)
def test_submissions_in_the_form_of_a_sample(tmp_path, kind):
    text, values, written = SAMPLES[kind]
    (tmp_path / 'sample.csv').write_text(text)
    sample = submission.read_sample(tmp_path / 'sample.csv', CLASSES, values)
    submission.write_sampled(tmp_path / 's.csv', sample, IDS, LIKELY, {})
    header, *rows = read(tmp_path / 's.csv')
    expected = list(csv.reader(text.splitlines()))
    assert header == expected[0]
    assert [row[0] for row in rows] == [row[0] for row in expected[1:]]
    assert [row[1] for row in rows] == (written or ['dog', 'cat', 'red fox', 'dog'])


def test_a_column_per_class_in_the_order_of_the_sample(tmp_path):
    (tmp_path / 'sample.csv').write_text('id,Dog,red  fox,cat\n3,.3,.3,.3\n1,.3,.3,.3\n2,0,0,1\n')
    sample = submission.read_sample(tmp_path / 'sample.csv', CLASSES)
    submission.write_sampled(
        tmp_path / 's.csv', sample, ['1.png', '2.png', '3.png'], LIKELY[:3], {1: 'no such file'}
    )
    header, *rows = read(tmp_path / 's.csv')
    assert header == ['id', 'Dog', 'red  fox', 'cat']
    assert [row[0] for row in rows] == ['3', '1', '2']
    np.testing.assert_array_equal(np.float32(rows[0][1:]), LIKELY[2][[1, 2, 0]])
    np.testing.assert_array_equal(np.float32(rows[1][1:]), LIKELY[0][[1, 2, 0]])
    # The image that cannot be read has the mean of the others, here of all but its own row.
    likely = LIKELY[:3].copy()
    likely[1] = np.nan
    submission.write_sampled(
        tmp_path / 's.csv', sample, ['1.png', '2.png', '3.png'], likely, {1: 'no such file'}
    )
    mean = np.float32(read(tmp_path / 's.csv')[3][1:])
    np.testing.assert_allclose(mean, LIKELY[[0, 2]].mean(0)[[1, 2, 0]], rtol=1e-6)


def test_a_sample_of_one_column_keeps_the_order_of_the_images(tmp_path):
    (tmp_path / 'sample.csv').write_text('Class\ncat\n')
    sample = submission.read_sample(tmp_path / 'sample.csv', CLASSES)
    submission.write_sampled(tmp_path / 's.csv', sample, IDS, LIKELY, {3: 'cut short'})
    assert read(tmp_path / 's.csv') == [['Class'], ['cat'], ['dog'], ['dog'], ['dog']]


BAD_SAMPLES = {
    'other values': ('id,label\n1,0\n', '', "'label' has '0', which is no class of the checkpoint"),
    'a value is missing': ('id,label\n1,0\n', 'cat=0,dog=1', "lacks the class 'red fox'"),
    'a value of no class': ('id,label\n1,0\n', 'cat=0,cow=1', "has no class 'cow'"),
    'another column': (
        'id,cat,dog,red fox,cow\n1,0,0,0,0\n',
        '',
        "columns that are no class: 'cow'",
    ),
    'a column is missing': ('id,cat,dog\n1,0,0\n', '', "has no column of: 'red fox'"),
    'an id twice': ('id,label\n1,cat\n1,cat\n', '', 'twice: 1 image'),
}


@pytest.mark.parametrize('kind', BAD_SAMPLES)
def test_samples_that_do_not_fit(tmp_path, kind):
    text, values, words = BAD_SAMPLES[kind]
    (tmp_path / 'sample.csv').write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        submission.read_sample(tmp_path / 'sample.csv', CLASSES, values)
    assert '\n' not in str(caught.value)
    words = re.findall(r"'?--set=submission_values=.*?(?= \()", str(caught.value))
    for word in words:
        (flag,) = shlex.split(word)
        value = flag.removeprefix('--set=submission_values=')
        assert submission.read_sample(tmp_path / 'sample.csv', CLASSES, value)
    assert len(words) == (3 if 'value' in kind else 0)


@pytest.mark.parametrize(
    ('ids', 'words'),
    [
        (['1.jpg'], "not predicted: 1 image ('2')"),
        (['1.jpg', '2.jpg', '3.jpg'], "not in the sample submission: 1 image ('3.jpg')"),
        (['a/1.jpg', 'b/1.jpg', '2.jpg'], "'1' could be 'a/1.jpg' or 'b/1.jpg'"),
    ],
)
def test_other_images_than_those_of_the_sample(tmp_path, ids, words):
    (tmp_path / 'sample.csv').write_text('id,label\n1,cat\n2,cat\n')
    sample = submission.read_sample(tmp_path / 'sample.csv', CLASSES)
    with pytest.raises(InputError, match=re.escape(words)):
        submission.write_sampled(tmp_path / 's.csv', sample, ids, LIKELY[: len(ids)], {})
    assert not (tmp_path / 's.csv').exists()


def test_no_images_leave_the_header(tmp_path):
    submission.write_predictions(tmp_path / 'p.csv', [], ['x', 'y'], np.zeros((0, 2)))
    submission.write_submission(tmp_path / 's.csv', [], [], [])
    assert [len(read(tmp_path / name)) for name in ('p.csv', 's.csv')] == [1, 1]


def test_probabilities_of_other_images_are_refused(tmp_path):
    with pytest.raises(InputError, match=r'here \[1, 2\]'):
        submission.write_predictions(tmp_path / 'p.csv', ['a'], ['x', 'y'], np.zeros((2, 2)))


def test_a_submission_has_the_order_of_test_csv(tmp_path):
    submission.write_submission(tmp_path / 's.csv', NAMES[:3], ['c', 'a', 'b'], ['a', 'b', 'c'])
    assert read(tmp_path / 's.csv') == [['ClassName'], [NAMES[2]], [NAMES[0]], [NAMES[1]]]
    submission.write_submission(tmp_path / 't.csv', [NAMES[5]], ['a'], ['a'])
    assert (
        tmp_path / 't.csv'
    ).read_bytes() == b'ClassName\n=cmd()\n'  # as it is: names are compared byte by byte


@pytest.mark.parametrize(
    ('test_ids', 'ids', 'words'),
    [
        (['a', 'b', 'c'], ['a', 'b'], r"not predicted: 1 image \('c'\)"),
        (['a'], ['a', 'b'], r"not in test.csv: 1 image \('b'\)"),
        (['a', 'b', 'a'], ['a', 'b'], 'twice in test.csv: 1 image'),
        (['a', 'b'], ['a', 'b', 'b'], 'twice in the predictions: 1 image'),
        (list('abcdefg'), ['a'], r"6 images \('b', 'c', 'd', ...\)"),
    ],
)
def test_a_submission_that_does_not_fit_is_not_written(tmp_path, test_ids, ids, words):
    (tmp_path / 's.csv').write_text('before')
    with pytest.raises(InputError, match=words) as caught:
        submission.write_submission(tmp_path / 's.csv', ['x'] * len(ids), test_ids, ids)
    assert '\n' not in str(caught.value)
    assert (tmp_path / 's.csv').read_text() == 'before'


def test_names_for_other_images(tmp_path):
    with pytest.raises(InputError, match='1 class names for 2 images'):
        submission.write_submission(tmp_path / 's.csv', ['x'], ['a', 'b'], ['a', 'b'])


def challenge(top, rows='ImageId\nb.png\na\n', names=('a.png', 'b.png')):
    tiny.files(top / 'test_images', tiny.images(len(names)), names)
    (top / 'test.csv').write_text(rows)
    return top


@pytest.mark.parametrize('where', ['.', 'test.csv'])
def test_ids_with_and_without_extension_in_the_order_of_the_file(tmp_path, where):
    ids, paths = submission.read_test(challenge(tmp_path) / where)
    assert ids == ['b.png', 'a']
    assert paths == [tmp_path / 'test_images' / name for name in ('b.png', 'a.png')]


def test_images_next_to_the_table_and_the_first_image_column(tmp_path):
    tiny.files(tmp_path, tiny.images(1), ['a.png'])
    for header, cells in (('x', 'a'), ('ClassName,ImageId,Name', 'tea,a,q'), ('path,image', 'a,z')):
        (tmp_path / 'mine.csv').write_text(f'{header}\n{cells}\n')
        assert submission.read_images(tmp_path / 'mine.csv') == (['a'], [tmp_path / 'a.png'])


@pytest.mark.parametrize(
    ('rows', 'words'),
    [
        ('ImageId\nq\nb\nr\ns\nt\n', r"not in .*test_images: 4 images \('q', 'r', 's', ...\)"),
        ('ImageId\na\nb\na\n', r"twice: 1 image \('a'\)"),
        ('ImageId,n\n,1\n', 'line 2: ImageId is empty'),
        ('colour,weight\nred,1\n', 'no column of images among colour, weight'),
        ('ImageId\n../a\n', 'leaves the image folder'),
        ('ImageId\n', 'and no rows'),
    ],
)
def test_tables_that_name_no_images(tmp_path, rows, words):
    with pytest.raises(InputError, match=words) as caught:
        submission.read_test(challenge(tmp_path, rows))
    assert '\n' not in str(caught.value)


def test_no_table():
    with pytest.raises(InputError, match=r'test.csv: no such file'):
        submission.read_test(pathlib.Path())
