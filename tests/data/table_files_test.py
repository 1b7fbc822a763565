"""Files of tables: every format gives the same rows, others are refused by their real name."""

import bz2
import datetime
import gzip
import io
import lzma
import pathlib
import sqlite3
import zipfile

import numpy as np
import pytest
from trees import notes, touch

from jaxdl.data.sources import csv_table, table_files
from jaxdl.errors import InputError

HEADER = ['ImageId', 'ClassName', 'shop']
ROWS = [['a.jpg', 'cat', '1'], ['b.jpg', 'dog, old', '2'], ['c.jpg', 'cat', '3']]
CSV = 'ImageId,ClassName,shop\na.jpg,cat,1\nb.jpg,"dog, old",2\nc.jpg,cat,3\n'
TSV = CSV.replace('"dog, old"', 'dog; old').replace(',', '\t').replace(';', ',')


def write_parquet(path):
    pyarrow = pytest.importorskip('pyarrow')
    parquet = pytest.importorskip('pyarrow.parquet')
    columns = dict(zip(HEADER, zip(*ROWS, strict=True), strict=True))
    columns = {name: list(cells) for name, cells in columns.items()}
    columns['shop'] = [int(cell) for cell in columns['shop']]
    columns['ClassName'] = pyarrow.array(columns['ClassName']).dictionary_encode()
    index = dict(__index_level_0__=[5, 6, 7])  # as pandas writes it
    parquet.write_table(pyarrow.table(columns | index), path)


def write_workbook(path):
    openpyxl = pytest.importorskip('openpyxl')
    book = openpyxl.Workbook()
    book.active.title = 'empty'
    sheet = book.create_sheet('photos')
    for row in [HEADER, *([*row[:2], int(row[2])] for row in ROWS), [None, None, None]]:
        sheet.append(row)
    book.create_sheet('more').append(['note'])
    book.save(path)


FILES = {
    't.csv': lambda path: path.write_text(CSV),
    't.tsv': lambda path: path.write_text(TSV),
    't.csv.gz': lambda path: path.write_bytes(gzip.compress(CSV.encode())),
    't.tsv.gz': lambda path: path.write_bytes(gzip.compress(TSV.encode())),
    't.csv.bz2': lambda path: path.write_bytes(bz2.compress(CSV.encode())),
    't.csv.xz': lambda path: path.write_bytes(lzma.compress(CSV.encode())),
    't.parquet': write_parquet,
    't.xlsx': write_workbook,
    'under another name.csv': write_parquet,
}


@pytest.mark.parametrize('name', FILES)
def test_every_format_has_the_same_rows(name):
    FILES[name](pathlib.Path(name))
    table = table_files.read(pathlib.Path(name))
    assert table.header == HEADER
    assert [cells for _, cells in table.rows] == ROWS
    assert [line for line, _ in table.rows] == [2, 3, 4]
    touch('a.jpg', 'b.jpg', 'c.jpg')
    listing = csv_table.csv(f'{name}:ImageId:ClassName', group_column='shop')
    assert listing.class_names == ('cat', 'dog, old')
    assert listing.groups == ('1', '2', '3')
    further = {'Passed over: further sheets': ('more',)} if name == 't.xlsx' else {}
    assert notes(listing) == further


def test_values_as_text(tmp_path):
    pyarrow = pytest.importorskip('pyarrow')
    from pyarrow import parquet

    day = datetime.date(2026, 11, 30)
    columns = dict(image=['a'], x=[1.0], b=[True], d=[day], n=[None], one=[['v']], two=[['v', 'w']])
    parquet.write_table(pyarrow.table(columns), tmp_path / 't.parquet')
    ((_, cells),) = table_files.read(tmp_path / 't.parquet').rows
    assert cells == ['a', '1.0', 'True', '2026-11-30', '', 'v', '["v", "w"]']


def write_zip(path, *names):
    with zipfile.ZipFile(path, 'w') as archive:
        for name in names:
            archive.writestr(name, 'x')


def write_sqlite(path):
    with sqlite3.connect(path) as base:
        base.execute('create table t (a)')


def write_images_in_parquet(path):
    pyarrow = pytest.importorskip('pyarrow')
    from pyarrow import parquet

    images = [dict(bytes=b'\x89PNG', path=None)]
    parquet.write_table(pyarrow.table(dict(image=images, label=[1])), path)


def write_endless_parquet(path):
    pyarrow = pytest.importorskip('pyarrow')
    from pyarrow import parquet

    columns = dict(image=pyarrow.array(['a'] * 200_000).dictionary_encode())
    parquet.write_table(pyarrow.table(columns), path)


REFUSED = {
    't.xls': (
        lambda p: p.write_bytes(b'\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1'),
        'a workbook of Excel 97',
    ),
    't.xlsb': (lambda p: write_zip(p, 'xl/workbook.bin'), 'a binary workbook of Excel'),
    't.ods': (lambda p: write_zip(p, 'mimetype', 'content.xml'), 'a workbook of LibreOffice'),
    't.numbers': (lambda p: write_zip(p, 'Index/Document.iwa'), 'a workbook of Numbers'),
    't.zip': (lambda p: write_zip(p, 't.csv'), 'a zip archive; unpack it'),
    't.feather': (lambda p: p.write_bytes(b'ARROW1\0\0'), 'an Arrow file'),
    't.db': (write_sqlite, 'an SQLite database'),
    't.h5': (lambda p: p.write_bytes(b'\x89HDF\r\n\x1a\n'), 'an HDF5 file'),
    't.npy': (lambda p: np.save(p, np.zeros(3)), 'a NumPy array'),
    't.pkl': (lambda p: p.write_bytes(b'\x80\x04\x95'), 'a pickle'),
    't.zst': (lambda p: p.write_bytes(b'\x28\xb5\x2f\xfd'), 'compressed by Zstandard'),
    't.json': (lambda p: p.write_text('[{"image": "a.jpg"}]'), 'is JSON; save it as CSV'),
    't.jsonl': (lambda p: p.write_text('{"image": "a.jpg"}\n'), 'is JSON; save it as CSV'),
    't.html': (lambda p: p.write_text('<table></table>'), 'is HTML or XML'),
    'a photo': (lambda p: p.write_bytes(b'\xff\xd8\xff\xe0'), 'a JPEG image'),
    'cut.gz': (lambda p: p.write_bytes(gzip.compress(CSV.encode())[:-9]), 'is damaged'),
    'twice.gz': (lambda p: p.write_bytes(gzip.compress(b'PAR1')), 'compressed twice'),
    'cut.parquet': (lambda p: p.write_bytes(b'PAR1' + b'x' * 50), 'is damaged'),
    'cut.xlsx': (lambda p: p.write_bytes(b'PK\x03\x04' + b'x' * 50), 'is damaged'),
    'broken.xlsx': (lambda p: write_zip(p, 'xl/workbook.xml'), 'is damaged'),
    'images.parquet': (write_images_in_parquet, 'read it by --dataset=hf:images.parquet'),
    'bomb.parquet': (write_endless_parquet, r'200,000 cells in [\d,]+ bytes'),
}


@pytest.mark.parametrize('name', REFUSED)
def test_other_formats_are_refused_by_their_real_name(name, monkeypatch):
    monkeypatch.setattr(table_files, 'FEW', 1000)
    write, words = REFUSED[name]
    if name.endswith('.parquet'):
        pytest.importorskip('pyarrow')
    if name == 'broken.xlsx':
        pytest.importorskip('openpyxl')
    write(pathlib.Path(name))
    with pytest.raises(InputError, match=words) as error:
        csv_table.csv(name)
    assert '\n' not in str(error.value)
    assert 'UTF-8' not in str(error.value)


def test_a_bomb_of_text_is_refused(monkeypatch):
    monkeypatch.setattr(table_files, 'LARGE', 10_000)
    pathlib.Path('t.csv.gz').write_bytes(gzip.compress(b'a' * 20_000))
    with pytest.raises(InputError, match='unpacks to more than 10,000 bytes'):
        csv_table.csv('t.csv.gz')


@pytest.mark.parametrize(('name', 'package'), [('t.parquet', 'pyarrow'), ('t.xlsx', 'openpyxl')])
def test_a_missing_package_is_named(name, package, monkeypatch):
    FILES[name](pathlib.Path(name))
    monkeypatch.setitem(__import__('sys').modules, package, None)
    with pytest.raises(InputError, match=r"pip install 'jaxdl\[tables\]'"):
        csv_table.csv(name)


def test_a_workbook_with_wrong_dimensions_is_read_at_once():
    openpyxl = pytest.importorskip('openpyxl')
    write_workbook(pathlib.Path('t.xlsx'))
    content = io.BytesIO()
    with zipfile.ZipFile('t.xlsx') as old, zipfile.ZipFile(content, 'w') as new:
        for name in old.namelist():
            text = old.read(name)
            new.writestr(name, text.replace(b'ref="A1:C4"', b'ref="A1:XFD1048576"'))
    pathlib.Path('t.xlsx').write_bytes(content.getvalue())
    assert openpyxl.load_workbook('t.xlsx')
    assert [cells for _, cells in table_files.read(pathlib.Path('t.xlsx')).rows] == ROWS


LABELS = {
    'bool': ([True, False, True, True], ['True', 'False', 'True', 'True']),
    'float': ([1.0, 10.0, 2.5, 1.0], ['1.0', '10.0', '2.5', '1.0']),
    'lists of one': ([['a'], ['b'], ['a'], ['a']], ['a', 'b', 'a', 'a']),
    'lists of one number': ([[3], [4], [3], [3]], ['3', '4', '3', '3']),
}


def hugging_face(labels, feature=None):
    datasets = pytest.importorskip('datasets')
    images = [dict(bytes=b'%d' % i, path=None) for i in range(len(labels))]
    table = datasets.Dataset.from_dict(dict(image=images, label=labels))
    table = table.cast_column('image', datasets.Image())
    table = table.cast_column('label', feature) if feature else table
    table.save_to_disk('set')
    return 'set'


@pytest.mark.parametrize('kind', LABELS)
def test_labels_of_hugging_face_sets(kind):
    from jaxdl.data.sources import huggingface

    labels, names = LABELS[kind]
    listing = huggingface.hf(hugging_face(labels))
    assert [listing.class_names[label] for label in listing.labels] == names


def test_lists_of_class_labels(monkeypatch):
    datasets = pytest.importorskip('datasets')
    from jaxdl.data.sources import huggingface

    feature = datasets.Sequence(datasets.ClassLabel(names=['ape', 'bee', 'cow']))
    listing = huggingface.hf(hugging_face([[0], [2], [2]], feature))
    assert [listing.class_names[label] for label in listing.labels] == ['ape', 'cow', 'cow']
    where = hugging_face([[0], [2], [0, 2]], feature)
    with pytest.raises(InputError, match='jaxdl has single-label classification only'):
        huggingface.hf(where)
    assert huggingface.hf(where, on_several_labels='skip').ids == ('0', '1')


@pytest.mark.parametrize('labels', [[1.0, float('nan')], ['a', None], [[], ['a']], ['', 'a']])
def test_rows_without_a_label_are_refused(labels):
    from jaxdl.data.sources import huggingface

    where = hugging_face(labels)
    with pytest.raises(InputError, match='no class; must be a word or a number'):
        huggingface.hf(where)
