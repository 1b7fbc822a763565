"""Prediction files: the same values when read again; no file that misfits test.csv."""

import csv
import pathlib

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
        assert row[1::2] == [
            NAMES[i].replace('=cmd', "'=cmd") for i in np.argsort(-probabilities)[:5]
        ]
        np.testing.assert_array_equal(
            np.float32(row[2::2]), np.sort(probabilities)[::-1][:5]
        )  # to the last bit


def test_fewer_classes_leave_cells_empty_and_of_equals_the_first_wins(tmp_path):
    submission.write_predictions(tmp_path / 'p.csv', ['a'], ['x', 'y'], np.array([[0.5, 0.5]]))
    assert read(tmp_path / 'p.csv')[1] == ['a', 'x', '0.5', 'y', '0.5', '', '', '', '', '', '']


@pytest.mark.parametrize('name', ['=1+1', '+1', '-1.jpg', '@SUM(A1)', '\t=1', '\r=1'])
def test_a_name_that_a_spreadsheet_would_run_is_text(tmp_path, name):
    submission.write_predictions(tmp_path / 'p.csv', [name], ['x', name], np.array([[0.25, 0.75]]))
    assert read(tmp_path / 'p.csv')[1][:4] == [f"'{name}", f"'{name}", '0.75', 'x']


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
