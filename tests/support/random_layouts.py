"""Strategies of small folders and tables of images, each with the content that it must load as.

A construction decides for each file what it is: an image of a class and a split, an image that no
decoder reads, or a file to be passed over. It never asks jaxdl.
"""

import bz2
import csv
import dataclasses
import functools
import gzip
import io
import lzma
import pathlib
import unicodedata

import numpy as np
from hypothesis import strategies as st
from PIL import Image

CLASSES = (
    *('cat', 'dog', 'Dog', 'hot dog', 'Caf\xe9', 'Cafe\u0301', 'n01 tench, Tinca', '1', '2', '10'),
    *('test_tube', 'cat ', '-1', '=x', 'a&b', 'wine \U0001f377', 'trainer', '1.5', 'v2', 'None'),
)
SPLITS = (
    dict(train='train', test='test'),
    dict(train='train', val='val'),
    dict(train='train', val='valid', test='test'),
    dict(train='Training', val='Validation', test='Evaluation'),
    dict(train='seg_train', test='seg_test'),
    dict(train='TrainSet', val='dev', test='holdout'),
    dict(train='train2017', test='test2017'),
    dict(train='birds-train', val='birds-val', test='birds-test'),
)
WRAPPERS = ('archive', 'photos v2', 'images', 'data', 'JPEGImages', 'D\xfcr', 'dataset.v1')
NAMES = ('1', '02', 'IMG 3', 'a.b', 'x_y', '-4', 'caf\xe9', '5 (1)', '=6', '7,8', 'n#9', '%20')
SUFFIXES = ('.jpg', '.png', '.JPEG', '.webp', '.bmp', '.tif', '.gif', '.ppm', '')
HIDDEN = ('.DS_Store', '._1.jpg', 'Thumbs.db', '.hidden/1.jpg', '__MACOSX/1.jpg', '@eaDir/1.jpg')
OTHERS = ('readme.txt', 'labels.xml', 'x.psd', 'x.npy', 'LICENSE', 'data.json', 'x.jpg.part')
FORMATS = dict(jpg='JPEG', jpeg='JPEG', png='PNG', webp='WEBP', bmp='BMP', tif='TIFF', gif='GIF')


TOP = '<top>'  # stands for the folder of the test


@dataclasses.dataclass
class Construction:
    """Files, and what a data set of them is.

    Attributes:
      files: path -> bytes, arguments of `picture`, or None for a folder.
      images: path -> (split, class), of each image that can be read.
      broken: path -> (split, class), of each image that cannot be read.
      others: paths of files that are no images and must be counted.
      named: names that the notes must contain.
      ids: id in the table -> path.
      table: row of WRITERS, and the rows with the header.
    """

    files: dict = dataclasses.field(default_factory=dict)
    images: dict = dataclasses.field(default_factory=dict)
    broken: dict = dataclasses.field(default_factory=dict)
    others: list = dataclasses.field(default_factory=list)
    named: list = dataclasses.field(default_factory=list)
    ids: dict = dataclasses.field(default_factory=dict)
    table: tuple = ()

    @property
    def dataset(self):
        """Value of `--dataset`."""
        return f'csv:train{self.table[0][0]}' if self.table else 'folder:f'

    def write(self, top):
        """Write the files into a folder."""
        if self.table:
            rows = [[cell.replace(TOP, str(top)) for cell in row] for row in self.table[1]]
            pathlib.Path(top, self.dataset[4:]).write_bytes(pack(self.table[0], rows))
        for name, content in self.files.items():
            path = pathlib.Path(top, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.mkdir(exist_ok=True)
            else:
                path.write_bytes(content if isinstance(content, bytes) else picture(*content))

    def expected(self):
        """(split, class, path) of each image to be loaded, and the classes without training."""
        parts = {part for part, _ in (*self.images.values(), *self.broken.values())}
        rename = {'val': 'test'} if 'test' not in parts else {}
        rows = {
            (rename.get(part, part), spelling(kind), path)
            for path, (part, kind) in self.images.items()
        }
        trained = {kind for part, kind, _ in rows if part == 'train'}
        return {row for row in rows if row[1] in trained}, {row[1] for row in rows} - trained


def spelling(name):
    """The form that equal class names share."""
    text = ' '.join(unicodedata.normalize('NFC', name).split())
    return text[:-2] if text.endswith('.0') and text[:-2].lstrip('-').isdigit() else text


@functools.cache
def picture(suffix, seed, how='good'):
    """Bytes of an image of 6 x 6 pixels, different for each seed; cut, empty or text."""
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    content = io.BytesIO()
    kind = FORMATS.get(suffix.lower().lstrip('.'), 'PPM' if suffix == '.ppm' else 'PNG')
    Image.fromarray(pixels).save(content, kind)
    whole = content.getvalue()
    return dict(good=whole, cut=whole[: len(whole) // 2], empty=b'', text=b'no image')[how]


@st.composite
def trees(draw):
    """A folder of images: classes, in splits or not, wrapped or not, with other files."""
    made = Construction()
    kinds = draw(st.lists(st.sampled_from(CLASSES), min_size=2, max_size=4, unique=True))
    layout = draw(st.sampled_from(('flat', 'splits', 'splits', 'inner', 'folds')))
    top = ''.join(f'{n}/' for n in draw(st.lists(st.sampled_from(WRAPPERS), max_size=2)))
    splits = draw(st.sampled_from(SPLITS)) if layout in ('splits', 'inner') else dict(train='')
    doubled = layout == 'splits' and draw(st.booleans())
    prefixes = []
    for part, name in splits.items():
        for kind in kinds:
            prefix = {
                'flat': f'{kind}/',
                'splits': f'{name}/{kind}/',
                'inner': f'{kind}/{name}/',
                'folds': f'fold{draw(st.integers(1, 2))}/{kind}/',
            }[layout]
            prefix = f'f/{top}{f"{name}/" * doubled}{prefix}'
            prefixes.append((prefix, part, kind))
            below = draw(st.sampled_from(('', '', '', 'sub/', 'batch 1/')))
            least = int(part == 'train' and kind in kinds[:2])  # else many have a single class
            stems = st.lists(st.sampled_from(NAMES), min_size=least, max_size=3, unique=True)
            for stem in draw(stems):
                add_image(draw, made, f'{prefix}{below}{stem}', part, kind)
    add_noise(draw, made, prefixes, top, layout == 'inner')
    if layout == 'splits' and not doubled:
        add_beside_splits(draw, made, f'f/{top}', splits)
    made.files.setdefault('f', None)
    return made


def add_image(draw, made, stem, part, kind):
    suffix = draw(st.sampled_from(SUFFIXES))
    if not suffix and '.' in stem.rpartition('/')[2]:
        suffix = '.jpg'
    path = f'{stem}{suffix}'
    seed = draw(st.integers(0, 40))
    how = draw(st.sampled_from(('good',) * 12 + ('cut', 'empty', 'text')))
    if how == 'good' or not suffix:
        made.images[path], how = (part, kind), 'good'
    else:
        made.broken[path] = (part, kind)
    made.files[path] = (suffix, seed, how)


def add_noise(draw, made, prefixes, top, inner):
    for name in draw(st.lists(st.sampled_from(HIDDEN), max_size=2, unique=True)):
        where = draw(st.sampled_from(('f/', f'f/{top}', prefixes[0][0])))
        made.files[f'{where}{name}'] = ('.jpg', 99)
    for name in draw(st.lists(st.sampled_from(OTHERS), max_size=2, unique=True)):
        where = draw(st.sampled_from(('f/', f'f/{top}', prefixes[-1][0])))
        made.files[f'{where}{name}'] = b'text\n'
        made.others.append(f'{where}{name}')
    if draw(st.integers(0, 5)) == 0:
        made.files[f'f/{top}loose.jpg'] = ('.jpg', 98)
        made.named.append('loose.jpg')
    if draw(st.integers(0, 5)) == 0:
        where = f'f/{top}' if inner else prefixes[0][0].rstrip('/').rpartition('/')[0] + '/'
        made.files[f'{where}empty'] = None
        made.named.append('empty')
    parts = {part for part, _ in (*made.images.values(), *made.broken.values())}
    if inner and len(parts) > 1 and draw(st.integers(0, 3)) == 0:
        where = prefixes[0][0].rstrip('/').rpartition('/')[0]
        made.files[f'{where}/beside.jpg'] = ('.jpg', 97)
        made.named.append('beside.jpg')


def add_beside_splits(draw, made, top, splits):
    """Images that are in a split and no class, and in a folder that is no split."""
    if draw(st.integers(0, 3)) == 0:
        made.files[f'{top}{splits["train"]}/astray.jpg'] = ('.jpg', 96)
        made.named.append('astray.jpg')
    if draw(st.integers(0, 3)) == 0:
        made.files[f'{top}extra/9.jpg'] = ('.jpg', 95)
        made.named.append('extra')


COLUMNS = ('image', 'image_id', 'filename', 'file_path', 'Image Name', 'id', 'path', 'img')
LABELS = ('label', 'class', 'Category', 'target', 'breed', 'labels', 'class_name')
FOLDERS = ('images', 'train_images', 'train', '', 'imgs', 'images/part 1', 'train/a')
IDS = ('name', 'stem', 'path', 'backslash', 'absolute', 'float', 'case', 'decomposed', 'number')
WORDS = (dict(train='train', val='val', test='test'), dict(train='Training', test='Test'))
WORDS += (dict(train='TRAIN', val='dev', test='holdout'),)


@st.composite
def tables(draw):
    """A table of images next to their folder, in a format and with columns as people have them."""
    made = Construction()
    kinds = draw(st.lists(st.sampled_from(CLASSES), min_size=2, max_size=3, unique=True))
    form = draw(st.sampled_from(('label', 'label', 'one-hot')))
    how = draw(st.sampled_from(('none', 'none', 'words', 'flag', 'fold')))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=3, max_size=8, unique=True))
    if draw(st.booleans()):
        width = draw(st.sampled_from((1, 4)))
        names = [f'{i:0{width}}' for i in range(1, len(names) + 1)]
    folder = draw(st.sampled_from(FOLDERS))
    ids = draw(st.sampled_from(IDS))
    words = draw(st.sampled_from(WORDS)) if how == 'words' else dict(train='0', val='1')
    header = [draw(st.sampled_from(COLUMNS)), *_label_header(draw, form, kinds)]
    header += dict(none=[], words=['split'], flag=['is_valid'], fold=['fold'])[how]
    rows = []
    for number, stem in enumerate(names):
        kind = kinds[number] if number < 2 else draw(st.sampled_from(kinds))
        part = draw(st.sampled_from(list(words))) if how in ('words', 'flag') else 'train'
        part = 'train' if number < 2 else part  # else most tables have one class in training
        made_before = {*made.files}
        add_image(draw, made, f'{folder}/{stem}'.lstrip('/'), part, kind)
        (path,) = {*made.files} - made_before
        written = kind.strip() + '.0' * (kind.isdigit() and draw(st.booleans()))
        label = [written] if form == 'label' else [str(int(kind == k)) for k in kinds]
        extra = dict(none=[], words=[words[part]], flag=[words[part]], fold=[str(number % 3)])
        if how == 'flag':
            extra['flag'] = [draw(st.sampled_from((('0', 'False'), ('1', 'True'))[part == 'val']))]
        name = _id(ids, path, stem)
        made.ids[name] = path
        rows.append([name, *label, *extra[how]])
    if draw(st.integers(0, 4)) == 0:
        rows.append(list(draw(st.sampled_from(rows))))
    if draw(st.integers(0, 4)) == 0:
        made.ids['gone.jpg'] = made_path = f'{folder}/gone.jpg'.lstrip('/')
        made.broken[made_path] = ('train', kinds[0])
        rows.append(['gone.jpg', *rows[0][1:]])
    if draw(st.integers(0, 4)) == 0:
        header, rows = [*header, 'url'], [[*row, 'http://x/y z'] for row in rows]
    if draw(st.integers(0, 4)) == 0:
        made.files[f'{folder}/unnamed.jpg'.lstrip('/')] = ('.jpg', 97)
    order = draw(st.permutations(range(len(header)))) if draw(st.booleans()) else range(len(header))
    content = [[row[i] for i in order] for row in (header, *rows)]
    made.table = draw(st.sampled_from(WRITERS)), content
    return made


def _label_header(draw, form, kinds):
    return [draw(st.sampled_from(LABELS))] if form == 'label' else [kind.strip() for kind in kinds]


def _id(ids, path, stem):
    name = path.rpartition('/')[2]
    return {
        'name': name,
        'stem': stem,
        'path': path,
        'backslash': path.replace('/', '\\'),
        'absolute': f'{TOP}/{path}',
        'float': f'{stem}.0' if stem.isdigit() else name,
        'case': name.upper(),
        'decomposed': unicodedata.normalize('NFD', name),
        'number': str(int(stem)) if stem.isdigit() else name,
    }[ids]


def pack(kind, content):
    """Bytes of a table in the format of a row of WRITERS."""
    suffix, delimiter, compress = kind
    if suffix == '.parquet':
        return _parquet(content)
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator='\r\n').writerows(content)
    return compress(text.getvalue().encode('utf-8-sig' if suffix == '.csv' else 'utf-8'))


def _parquet(content):
    import pyarrow
    from pyarrow import parquet

    header, *rows = content
    columns = {name: [row[i] for row in rows] for i, name in enumerate(header)}
    data = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), data)
    return data.getvalue()


WRITERS = (
    *((('.csv', ',', bytes),) * 3),
    ('.csv', ';', bytes),
    ('.tsv', '\t', bytes),
    ('.csv.gz', ',', gzip.compress),
    ('.tsv.bz2', '\t', bz2.compress),
    ('.csv.xz', ',', lzma.compress),
    ('.parquet', ',', bytes),
)
