"""Predictions of many images: resumed with the same bytes, broken images skipped, little memory."""

import contextlib
import csv
import pathlib

import numpy as np
import pytest
import tiny

from jaxdl import main as command
from jaxdl.errors import InputError
from jaxdl.inference import unfinished
from jaxdl.inference.predictor import Predictor


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    return tiny.workdir(tmp_path_factory.mktemp('run'))


def read(path):
    with pathlib.Path(path).open(newline='', encoding='utf-8') as file:
        return list(csv.reader(file))


def call(run, *arguments):
    return command.main(
        ['--mode=predict', f'--checkpoint={run}', '--images=in', '--set=batch_size=2', *arguments]
    )


def rows(count, classes=3):
    drawn = np.random.default_rng(0).dirichlet(np.ones(classes), count)
    return drawn.astype(np.float32)


@contextlib.contextmanager
def interrupted(output, key='key'):
    """An unfinished prediction that ends with an error after the block."""
    with contextlib.suppress(RuntimeError), unfinished.open_unfinished(output, key, 3, 2) as saved:
        yield saved
        raise RuntimeError


def test_an_interrupted_prediction_is_resumed_with_the_same_bytes(
    run, tmp_path, monkeypatch, capsys
):
    tiny.files(tmp_path / 'in', tiny.images(7))
    assert call(run, '--output=whole.csv') == 0
    append = unfinished.Unfinished.append

    def interrupt(self, *arguments):
        if (self.folder / unfinished.ROWS).exists() and len(self.read()[0]) >= 4:
            raise KeyboardInterrupt
        append(self, *arguments)

    monkeypatch.setattr(unfinished.Unfinished, 'append', interrupt)
    assert call(run, '--output=p.csv') == 130
    assert '4 predictions are saved; the same command resumes' in capsys.readouterr().err
    assert not (tmp_path / 'p.csv').exists()
    monkeypatch.setattr(unfinished.Unfinished, 'append', append)
    streamed = list[int]()
    stream = Predictor.stream

    def count(self, images, *arguments):
        streamed.append(len(images))
        return stream(self, images, *arguments)

    monkeypatch.setattr(Predictor, 'stream', count)
    assert call(run, '--output=p.csv') == 0
    assert streamed == [3]
    assert '4 of 7 predictions are resumed' in capsys.readouterr().err
    assert (tmp_path / 'p.csv').read_bytes() == (tmp_path / 'whole.csv').read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ['in', 'p.csv', 'whole.csv']


def test_other_images_or_networks_begin_again(run, tmp_path, capsys):
    paths = tiny.files(tmp_path / 'in', tiny.images(5))
    with interrupted(pathlib.Path('p.csv'), 'another key') as saved:
        saved.append(rows(4), {})
    assert call(run, '--output=p.csv') == 0
    err = capsys.readouterr().err
    assert '4 predictions of other images or another network are removed' in err
    expected = Predictor.from_checkpoint(run).predict(paths, batch_size=2)
    assert [row[1] for row in read('p.csv')[1:]] == expected.class_names


def test_rows_resume_in_whole_batches_and_torn_rows_are_dropped(tmp_path):
    output, values = tmp_path / 'p.csv', rows(7)
    values[1] = np.nan
    first = values[:5].copy()
    first[4] = np.nan
    with interrupted(output) as saved:
        saved.append(first, {1: 'cut short', 4: 'no such file'})
    with interrupted(output) as saved:
        assert saved.count == 4
        np.testing.assert_array_equal(saved.read()[0], values[:4])
        assert saved.read()[1] == {1: 'cut short'}
        saved.append(values[4:6], {})
    folder = tmp_path / '.p.csv.unfinished'
    with (folder / unfinished.ROWS).open('ab') as file:
        file.write(bytes(4 * 3 * 2) + b'torn')  # as after a power cut
    with unfinished.open_unfinished(output, 'key', 3, 2) as saved:
        assert saved.count == 6
        saved.append(np.full((1, 3), np.nan, np.float32), {6: 'an empty file'})
        assert saved.read()[1] == {1: 'cut short', 6: 'an empty file'}
    assert list(tmp_path.iterdir()) == []


def test_one_output_has_one_writer(tmp_path):
    first, second = (unfinished.open_unfinished(tmp_path / 'p.csv', 'key', 3, 2) for _ in range(2))
    with first, pytest.raises(InputError, match='another process is writing it'):
        second.__enter__()


def test_broken_images_are_skipped_with_a_reason(run, tmp_path, capsys):
    paths = tiny.files(tmp_path / 'in', tiny.images(6))
    whole = Predictor.from_checkpoint(run).predict(paths)
    paths[1].write_bytes(b'nothing')
    paths[4].write_bytes(b'')
    assert call(run, '--output=p.csv') == 2
    assert '2 of 6 images cannot be read: ' in capsys.readouterr().err
    assert call(run, '--output=p.csv', '--set=on_bad_image=skip', '--set=explain=true') == 0
    out = capsys.readouterr().out
    assert out.startswith('4 predictions: p.csv')
    assert 'Images that cannot be read: 2 (1.png not an image of a known format, 4.png an ' in out
    header, *cells = read('p.csv')
    assert header[-1] == 'reason'
    assert cells[1] == ['1.png', *[''] * 10, 'not an image of a known format']
    assert cells[4][-1] == 'an empty file'
    good = [0, 2, 3, 5]
    assert [cells[i][1] for i in good] == [whole.class_names[i] for i in good]
    assert [cells[i][-1] for i in good] == [''] * 4
    np.testing.assert_allclose(
        np.float32([cells[i][2] for i in good]), whole.probabilities[good].max(1), atol=1e-6
    )
    pictures = sorted(path.name for path in (tmp_path / 'p_explained').iterdir())
    assert [name[:5] for name in pictures] == [f'{i:05}' for i in good]


def test_a_submission_names_a_class_for_broken_images(run, tmp_path, capsys):
    paths = tiny.files(tmp_path / 'test_images', tiny.images(6), [f'{c}.png' for c in 'abcdef'])
    (tmp_path / 'test.csv').write_text('ImageId\n' + '\n'.join('abcdefg') + '\n')
    paths[1].write_bytes(b'nothing')
    arguments = ['--images=test.csv', '--output=out/p.csv']
    assert call(run, *arguments) == 2
    assert "not in test_images: 1 image ('g')" in capsys.readouterr().err
    assert call(run, *arguments, '--set=on_bad_image=skip') == 0
    out = capsys.readouterr().out
    predicted = [row[1] for row in read('out/p.csv')[1:]]
    usual = max(sorted(set(filter(None, predicted))), key=predicted.count)
    assert predicted[1] == predicted[6] == ''
    written = [row[0] for row in read('out/submission.csv')[1:]]
    assert written[1] == written[6] in predicted
    assert predicted.count(written[1]) == predicted.count(usual)
    assert f'the submission has the most frequent class, {written[1]}, for images' in out
    assert [w for w, p in zip(written, predicted, strict=True) if p] == list(
        filter(None, predicted)
    )


def test_a_sample_submission_by_the_command(run, tmp_path, capsys):
    tiny.files(tmp_path / 'in', tiny.images(3), ['10.png', '2.png', '1.png'])
    (tmp_path / 'sample.csv').write_text('id,label\n1,0\n2,0\n10,0\n')
    arguments = ['--output=out/p.csv', '--set=submission=sample.csv', '--set=probabilities=all']
    assert call(run, *arguments) == 2
    assert 'say what to write: --set=submission_values=names' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()
    assert call(run, *arguments, '--set=submission_values=names') == 0
    predicted = {row[0]: row[1] for row in read('out/p.csv')[1:]}
    assert read('out/p.csv')[0] == ['ImageId', 'ClassName', *tiny.CLASSES]
    assert read('out/submission.csv') == [
        ['id', 'label'],
        *([name, predicted[f'{name}.png']] for name in ('1', '2', '10')),
    ]
    assert call(run, *arguments, '--set=submission_values=names') == 0  # over its own files
    (tmp_path / 'submission.csv').write_text('id,label\n1,0\n2,0\n10,0\n')
    own = ['--output=p.csv', '--set=submission=submission.csv', '--set=submission_values=names']
    assert call(run, *own) == 2
    assert 'is the file of --set=submission' in capsys.readouterr().err
    (tmp_path / 'column.csv').write_text('Class\ntea\n')
    assert call(run, '--output=q.csv', '--set=submission=column.csv') == 2
    assert 'has no order: predict a table' in capsys.readouterr().err


def test_memory_does_not_grow_with_the_number_of_images(run, tmp_path):
    """At most so many decoded images exist at a time, and rows are on disk."""
    from jaxdl.inference import predictor

    picture = tiny.images(1)[0]
    alive = peak = 0

    class Counted(np.ndarray):
        def __del__(self):
            nonlocal alive
            alive -= 1

    def decode_one(image, size, fit):
        nonlocal alive, peak
        alive += 1
        peak = max(peak, alive)
        return picture.copy().view(Counted)

    networks = Predictor.from_checkpoint(run)
    before, predictor._decode_one = predictor._decode_one, decode_one
    try:
        count = sum(len(rows) for rows, _ in networks.stream(range(600), 4))
    finally:
        predictor._decode_one = before
    assert count == 600
    assert peak < 60
