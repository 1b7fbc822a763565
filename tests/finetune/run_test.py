"""Whole fine-tunings: files from weights to predictions, identical resumption, refusals."""

import dataclasses
import signal

import finetunes
import jax
import numpy as np
import pytest
from PIL import Image

import jaxdl
from jaxdl import workdir
from jaxdl.config.overrides import check, override
from jaxdl.errors import InputError
from jaxdl.finetune import loop, setup
from jaxdl.finetune import run as finetune
from jaxdl.inference import model_file
from jaxdl.runtime import checkpoint
from jaxdl.runtime.signals import Interrupted
from jaxdl.train.settings import TrainSettings
from jaxdl.train.variant import Variant
from jaxdl.workdir import tables


@pytest.fixture(scope='module')
def run(top):
    """A finished run."""
    return finetune.run(finetunes.experiment(top, ema=0.9), top / 'run')


def test_a_run_leaves_what_the_contract_names(run, top):
    folder = top / 'run'
    for name in (
        'config.json',
        'plan.json',
        'results.csv',
        'run.json',
        'metrics.jsonl',
        'report.html',
        'report.md',
    ):
        assert (folder / name).stat().st_size > 0, name
    result = workdir.read_json(folder / 'run.json')
    assert result['finished']
    assert result['scores'].keys() == {'probe', 'finetune'}
    rows = [row for row in run.table if row['phase'] == 'finetune' and row['split'] == 'val']
    assert {row['epoch'] for row in rows} == {1, 2}
    assert {row['metric'] for row in rows} == set(loop.VAL)
    best = max(
        (row for row in rows if row['metric'] == 'macro_f1'),
        key=lambda row: (row['value'], row['epoch']),
    )
    arrays = np.load(folder / 'artifacts' / 'evaluation.npz')
    assert len(arrays['labels']) == workdir.read_json(folder / 'plan.json')['data']['val']
    assert arrays['group'].tolist() == arrays['ids'].tolist()  # too small for near-duplicates
    by_probe = np.mean(arrays['probe_predicted'] == arrays['labels'])
    assert by_probe == pytest.approx(result['scores']['probe']['accuracy'])
    assert best['value'] >= 0
    scores = model_file.load(folder).card.scores
    low, high = scores['intervals']['accuracy']
    assert low <= scores['accuracy'] <= high
    assert (scores['groups'], scores['networks']) == (len(arrays['labels']), 1)


def test_a_finished_run_is_only_reported_again(run, top):
    before = (top / 'run' / 'run.json').read_bytes()
    again = finetune.run(finetunes.experiment(top, ema=0.9), top / 'run')
    assert again.table == run.table
    assert (top / 'run' / 'run.json').read_bytes() == before


def test_the_predictor_repeats_the_validation_predictions_of_the_run(run, top):
    predictor = jaxdl.Predictor.from_checkpoint(str(top / 'run'))
    arrays = np.load(top / 'run' / 'artifacts' / 'evaluation.npz')
    images = np.load(top / 'images.npz')['images']
    result = predictor.predict([images[int(name)] for name in arrays['ids']])
    logits = arrays['logits'] / arrays['temperature']
    likely = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(result.probabilities, likely, atol=1e-5)


def test_interrupted_thrice_and_resumed_it_ends_with_the_same_bytes(
    run, top, monkeypatch, tmp_path
):
    """In the middle of the first epoch, at its end, and in the middle of the second."""
    original, experiment = loop._Loop._stop_or_save, finetunes.experiment(top, ema=0.9)
    for stop in (3, 5, 7):
        cut = lambda self, step, *rest, at=stop: (
            (signal.SIGTERM, False) if step == at else original(self, step, *rest)
        )
        monkeypatch.setattr(loop._Loop, '_stop_or_save', cut)
        with pytest.raises(Interrupted):
            finetune.run(experiment, tmp_path / 'run')
    monkeypatch.setattr(loop._Loop, '_stop_or_save', original)
    finetune.run(experiment, tmp_path / 'run')
    assert workdir.read_json(tmp_path / 'run' / 'run.json')['resumed'] == 3
    for name in ('results.csv', 'config.json', 'plan.json'):
        assert (tmp_path / 'run' / name).read_bytes() == (top / 'run' / name).read_bytes(), name
    mine, theirs = (
        checkpoint.read_model(f / 'run' / 'checkpoints' / 'final')[0] for f in (tmp_path, top)
    )
    jax.tree.map(np.testing.assert_array_equal, mine, theirs)


def test_the_final_training_uses_the_validation_images(run, top, tmp_path, monkeypatch):
    tasks, fit, original = [], loop.train_network, loop._Loop._stop_or_save
    monkeypatch.setattr(
        loop,
        'train_network',
        lambda context, job, *rest: tasks.append(job) or fit(context, job, *rest),
    )
    experiment = finetunes.experiment(top, ema=0.9, refit_epochs=1)
    finetune.run(experiment, tmp_path / 'again')
    first, last = tasks
    arrays = np.load(top / 'run' / 'artifacts' / 'evaluation.npz')
    assert sorted(last.feed.indices) == sorted([*first.feed.indices, *map(int, arrays['ids'])])
    assert last.evaluate is None
    one, two = (
        workdir.read_json(f / 'run.json')['scores'] for f in (top / 'run', tmp_path / 'again')
    )
    assert one == two  # by the network that had not seen them
    before, after = (
        checkpoint.read_model(f / 'checkpoints' / 'final')[0]
        for f in (top / 'run', tmp_path / 'again')
    )
    assert not np.array_equal(
        before['0000']['params']['head']['kernel'], after['0000']['params']['head']['kernel']
    )
    report = (tmp_path / 'again' / 'report.md').read_text()
    assert 'they precede the final training on train + validation' in report
    assert 'All scores and the temperature are from before that' in report
    assert 'from before that' not in (top / 'run' / 'report.md').read_text()

    stop = lambda self, step, *rest: (
        (signal.SIGTERM, False) if not self.job.evaluate else original(self, step, *rest)
    )
    monkeypatch.setattr(loop._Loop, '_stop_or_save', stop)
    with pytest.raises(Interrupted):
        finetune.run(experiment, tmp_path / 'cut')
    monkeypatch.setattr(loop._Loop, '_stop_or_save', original)
    finetune.run(experiment, tmp_path / 'cut')
    jax.tree.map(
        np.testing.assert_array_equal,
        checkpoint.read_model(tmp_path / 'cut/checkpoints/final')[0],
        after,
    )


def test_a_probe_alone_is_a_network_too(top, tmp_path):
    result = finetune.run(finetunes.experiment(top, stages=('probe',)), tmp_path / 'run')
    assert {row['phase'] for row in result.table} == {'probe'}
    predictor = jaxdl.Predictor.from_checkpoint(tmp_path / 'run')
    images = np.load(top / 'images.npz')['images'][:2]
    assert len(predictor.predict(images).class_names) == 2


def test_a_loss_that_is_no_number_names_the_step_and_keeps_what_was_saved(top, tmp_path):
    experiment = finetunes.experiment(top, variant=dict(learning_rate=1e30, schedule='constant'))
    with pytest.raises(
        loop.NotFinite, match=r'loss of step [0-9]+ is not finite.*lower learning_rate'
    ):
        finetune.run(experiment, tmp_path / 'run')
    assert not workdir.read_json(tmp_path / 'run' / 'run.json')['finished']


def test_patience_stops_early(top, tmp_path):
    result = finetune.run(
        finetunes.experiment(top, patience=1, epochs=6, variant=dict(learning_rate=1e-12)),
        tmp_path / 'run',
    )
    epochs = {row['epoch'] for row in result.table if row['phase'] == 'finetune'}
    assert max(epochs) < 6


def test_patience_leaves_the_last_phase_in_place(top, tmp_path):
    recipe = dict(patience=1, epochs=6, fix_epochs=2, variant=dict(learning_rate=1e-12))
    results = finetune.run(finetunes.experiment(top, **recipe), tmp_path / 'run')
    epochs = {row['epoch'] for row in results.table if row['phase'] == 'finetune'}
    assert epochs == {1, 2, 3, 4}  # the second is no better; then two epochs of head and last norm
    lines = (tmp_path / 'run' / 'metrics.jsonl').read_text()
    assert lines.count('"compile"') >= 2


def test_settings_of_new_networks_are_no_settings_of_a_fine_tuning(top):
    experiment = finetunes.experiment(top)
    with pytest.raises(InputError, match=r"unknown override 'variant\.width'"):
        override(experiment, {'variant.width': 8})
    with pytest.raises(InputError, match=r"unknown field 'variant\.width'"):
        check(dataclasses.replace(experiment, variant=Variant(width=8)))
    narrowed = check(dataclasses.replace(experiment, variant=Variant(flip=0.5)))
    assert narrowed.variant == TrainSettings(flip=0.5)


def test_the_first_process_resolves_the_commit_and_tells_the_others(top, tmp_path, monkeypatch):
    """The second of two processes resolves another commit, and takes that of the first."""
    messages, pinned, commits = [], [], ['a1', 'b2']
    monkeypatch.setattr(setup.weights, 'commit', lambda source, revision: commits[len(pinned)])
    monkeypatch.setattr(setup.distributed, 'has_several', lambda: True)

    def broadcast(tree):  # the first process sends, the second one receives
        if setup.distributed.is_first():
            messages.append(tree)
            return tree
        return messages.pop(0)

    monkeypatch.setattr(setup.distributed, 'broadcast_arrays', broadcast)
    for number in (0, 1):
        monkeypatch.setattr(setup.distributed, 'is_first', lambda number=number: number == 0)
        pinned.append(setup.pin_revision(finetunes.experiment(top), tmp_path).revision)
    assert pinned == ['a1', 'a1']


def test_the_best_epoch_is_stored(top, tmp_path, monkeypatch):
    values = iter([0.5, 0.9, 0.1])
    monkeypatch.setattr(loop, 'select_metric', lambda *_: next(values))
    finetune.run(finetunes.experiment(top, epochs=3), tmp_path / 'run')
    assert workdir.read_json(tmp_path / 'run' / 'run.json')['scores']['finetune']['epoch'] == 2


def test_folds_and_seeds_are_averaged_and_no_initial_head_was_fitted_to_held_out_images(
    top, tmp_path, monkeypatch
):
    splits = []
    of = finetune.probe.fit_head
    monkeypatch.setattr(
        finetune.probe,
        'fit_head',
        lambda *arguments, **more: splits.append(arguments[2]) or of(*arguments, **more),
    )
    run = finetune.run(finetunes.experiment(top, folds=2, seeds=2, epochs=1), tmp_path / 'run')
    compared = [(row['stage'], row['split'], row['images']) for row in run.scores]
    split = compared[1][1]
    assert compared == [('probe', split, 60), ('finetune', split, 60)]
    assert len(splits) == 2
    assert all(
        not np.intersect1d(parts.train, parts.val).size and len(parts.val) == 30 for parts in splits
    )
    tree, about = checkpoint.read_model(tmp_path / 'run' / 'checkpoints' / 'final')
    assert len(tree) == 4
    assert about['class_names'] == ['0', '1', '2']
    arrays = np.load(tmp_path / 'run' / 'artifacts' / 'evaluation.npz')
    assert sorted(map(int, arrays['ids'])) == list(
        range(60)
    )  # once each, by both networks that have not seen it
    assert len(arrays['probe_predicted']) == 60
    by_probe = np.mean(arrays['probe_predicted'] == arrays['labels'])
    assert run.scores[0]['accuracy'] == pytest.approx(by_probe)
    rows = tables.read_table(tmp_path / 'run' / 'results.csv', tables.RESULTS)
    names = {row['option'] for row in rows if row['phase'] == 'finetune'}
    assert names == {f'finetune, fold {fold}, seed {seed}' for fold in (1, 2) for seed in (0, 1)}


def test_the_last_phase_moves_what_it_trains(top, tmp_path):
    finetune.run(
        finetunes.experiment(top, epochs=1, variant=dict(schedule='cosine')), tmp_path / 'without'
    )
    finetune.run(
        finetunes.experiment(
            top, epochs=1, fix_epochs=1, variant=dict(schedule='cosine'), metric='loss'
        ),
        tmp_path / 'with',
    )
    result = {
        float(row['value'])
        for name in ('without', 'with')
        for row in tables.read_table(tmp_path / name / 'results.csv', tables.RESULTS)
        if row['phase'] == 'finetune' and row['split'] == 'val' and row['metric'] == 'loss'
    }
    assert len(result) == 2


def test_a_run_resumes_only_with_its_original_inputs(top, tmp_path, monkeypatch):
    experiment = finetunes.experiment(top, stages=('probe',))
    monkeypatch.setattr(
        finetune.finish, 'finish', lambda *_: (_ for _ in ()).throw(Interrupted(signal.SIGTERM))
    )
    with pytest.raises(Interrupted):
        finetune.run(experiment, tmp_path / 'run')
    plan = workdir.read_json(tmp_path / 'run' / 'plan.json')
    for part, key, words in (
        ('data', 'checksum', 'data set'),
        ('model', 'weights_checksum', 'weights'),
    ):
        changed = plan | {part: plan[part] | {key: 'another'}}
        workdir.write_records(tmp_path / 'run', plan=changed)
        with pytest.raises(InputError, match=f'{words}.* changed since the run began: --overwrite'):
            finetune.run(experiment, tmp_path / 'run')


REFUSED = [
    (
        dict(variant=dict(batch_size=7), accumulation=2),
        r'variant\.batch_size=7: .*set batch_size=8',
    ),
    (dict(variant=dict(loss='tanh_squared_error')), 'ends in a softmax'),
    (dict(average='soup', folds=2), 'folds=1'),
    (dict(frozen=('layr1',)), 'layer1'),
    (dict(frozen=('layer1_0',), norms='batch'), 'whole stages'),
    (dict(eval_size=24), '16 pixels are smaller than the 24 pixels of the network'),
]


@pytest.mark.parametrize(('settings', 'message'), REFUSED)
def test_unusable_settings_are_refused(top, tmp_path, settings, message):
    with pytest.raises(InputError, match=message) as raised:
        finetune.run(finetunes.experiment(top, **settings), tmp_path / 'run')
    assert '\n' not in str(raised.value)
    assert not (tmp_path / 'run').exists()


def challenge(top, sizes=(64, 16)):
    """A challenge whose classes are colours at the left edge; one test image is broken."""
    rng, rows = np.random.default_rng(0), []
    colours = dict(apple=(230, 20, 20), pear=(20, 230, 20), plum=(20, 20, 230))
    for part, count in (('train', 12), ('test', 3)):
        (top / f'{part}_images').mkdir(parents=True)
        for i in range(count * len(colours)):
            kind = sorted(colours)[i % 3]
            pixels = rng.integers(100, 140, (sizes[1], sizes[0], 3)).astype(np.uint8)
            pixels[:, : sizes[1]] = colours[kind]
            Image.fromarray(pixels).save(top / f'{part}_images' / f'{i}.png')
            rows.append((part, f'{i}.png', kind))
    train = [f'{name},{kind}' for part, name, kind in rows if part == 'train']
    test = [name for part, name, _ in rows if part == 'test']
    (top / 'train.csv').write_text('\n'.join(('ImageId,ClassName', *train)))
    (top / 'test.csv').write_text('\n'.join(('ImageId', *test, 'gone.png')))
    (top / 'test_images' / test[1]).write_bytes(b'broken')
    return top


def test_a_challenge_with_broken_test_images_and_the_whole_of_wide_images(top, tmp_path, capsys):
    data = dict(dataset=f'foodc:{challenge(tmp_path / "food")}', image_size=16, fit='pad')
    plain = finetunes.experiment(
        top, stages=('probe',), probe=dict(passes=30, learning_rates=(1.0,))
    )
    experiment = dataclasses.replace(plain, data=dataclasses.replace(plain.data, **data))
    with pytest.raises(InputError, match=r'test\.csv: not in .*gone\.png.*on_bad_image=skip'):
        finetune.run(experiment, tmp_path / 'run')
    data |= dict(on_bad_image='skip')
    experiment = dataclasses.replace(plain, data=dataclasses.replace(plain.data, **data))
    results = finetune.run(experiment, tmp_path / 'run')
    predictions = (tmp_path / 'run' / 'predictions.csv').read_text().splitlines()
    names = (tmp_path / 'run' / 'submission.csv').read_text().splitlines()[1:]
    assert len(names) == 10
    rows = [line.split(',') for line in predictions[1:]]
    assert predictions[0].endswith(',reason')
    assert [i for i, row in enumerate(rows) if not row[1]] == [1, 9]
    assert rows[9][-1] == 'no such file'
    usual = max(sorted(set(names)), key=lambda name: sum(row[1] == name for row in rows))
    assert names == [row[1] or usual for row in rows]
    submission = workdir.read_json(tmp_path / 'run' / 'run.json')['submission']
    assert submission == dict(file='submission.csv', rows=10, unread=2, unread_as=usual)
    assert f'the most frequent class, {usual}, for 2 images' in results.notes[1]
    assert 'Images to predict that cannot be read' in capsys.readouterr().err
    assert '2 images cannot be read' in (tmp_path / 'run' / 'report.md').read_text().replace(
        '\u202f', ' '
    ).replace('\xa0', ' ')
    card = jaxdl.Predictor.from_checkpoint(tmp_path / 'run').model.card
    assert (card.preprocessing.fit, card.preprocessing.crop) == ('pad', 1.0)
