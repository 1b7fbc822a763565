"""Model card (Mitchell et al. 2019), commands for prediction, costs and provenance."""

import shlex

from jaxdl.report import demonstration, provenance
from jaxdl.report.finetune import scores
from jaxdl.report.finetune.reading import FineTuneRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Code, Paragraph, Table

UNKNOWN = 'unknown; ask the publisher of the weights before you distribute the network'
SLOW_INPUT = 0.1  # share of waiting above which data loading limits training


def card(fitted: FineTuneRun) -> list[Block]:
    """Table of intended use, data, training, metrics and limits."""
    model = fitted.plan.model
    rows = {
        'Intended use': _use(fitted),
        'Not for': 'images of other classes: the network always predicts one of its classes',
        'Network': _network(fitted),
        'Initial weights': markup.code(words.local(model.weights)) + _origin(fitted),
        'Licence of the weights': markup.flat(model.weights_licence) or UNKNOWN,
        'Data': _data(fitted),
        'Training': _training(fitted),
        'Metrics': _metrics(fitted),
        'Limits': _limits(fitted),
    }
    return [Table('Model card', ('Item', 'Value'), [[*row] for row in rows.items()], 'lw')]


def predict(fitted: FineTuneRun) -> list[Block]:
    """Commands for prediction, for a shell and for Python."""
    workdir = shlex.quote(fitted.name)
    submission = fitted.run.submission or {}
    predicted: list[Block] = []
    if submission.get('file'):
        file, rows = markup.code(words.local(submission['file'])), submission.get('rows')
        text = f'Predictions for the images without labels: {file}, {words.exactly(rows)} rows.'
        if submission.get('unread'):
            substitute = markup.name(words.local(str(submission.get('unread_as'))))
            count = words.count(submission['unread'], 'image')
            text += (
                f' {count} cannot be read and got the most frequent predicted class, {substitute}.'
            )
        predicted = [Paragraph(text)]
    return [
        *predicted,
        Paragraph('Command line, in the parent folder of the workdir:'),
        Code(
            f'python -m jaxdl.main --mode=predict --checkpoint={workdir} '
            '--images=DIR --output=predictions.csv'
        ),
        Paragraph('Python:'),
        Code(
            f'import jaxdl\npredictor = jaxdl.Predictor.from_checkpoint({fitted.name!r})\n'
            "predictions = predictor.predict(['image.jpg'])\n"
            'predictions.class_names  # [n]\npredictions.probabilities  # [n, classes]'
        ),
    ]


def cost(fitted: FineTuneRun) -> list[Block]:
    """Table of seconds per stage, images per second, and share of waiting for data."""
    run = fitted.run
    rows = [
        [part.replace('_', ' '), words.seconds(value)]
        for part, value in (run.seconds or {}).items()
    ]
    if run.images_per_second is not None:
        rows.append(['images per second, training', words.significant(run.images_per_second)])
    waited = run.input_wait
    if waited is not None:
        rows.append(['data loading, share of training time', words.percent(waited)])
    device = Paragraph(f'Device: {markup.flat(run.device)}.{_waiting(waited)}')
    return [device, Table('Time', ('Stage', 'Value'), rows, 'wr')]


def provenance_blocks(fitted: FineTuneRun) -> list[Block]:
    """Provenance of a fine-tuning, without paths of the machine."""
    run, data = fitted.run, fitted.plan.data
    facts = provenance.facts(fitted.config['name'], run)
    if run.resumed is not None:
        facts['Resumed'] = words.count(run.resumed, 'time') if run.resumed else 'never'
    sums = dict(Data=data.checksum, Weights=fitted.plan.model.weights_checksum)
    facts |= {f'{item}, checksum': str(value)[:16] for item, value in sums.items() if value}
    facts |= {'Decoder': data.decoder} if data.decoder else {}
    rows = [[name, markup.flat(words.local(str(value)))] for name, value in facts.items()]
    return [
        *provenance.command(run.command),
        Table('Run', ('Item', 'Value'), rows, 'lw'),
        *([demonstration.groups(run)] if run.groups else []),
        Paragraph(
            f'All measurements are in {markup.code("results.csv")} of the workdir. This command '
            'rebuilds the report from the workdir, without jax:'
        ),
        Code(f'python -m jaxdl.main --mode=report --workdir={shlex.quote(fitted.name)}'),
    ]


def _use(fitted: FineTuneRun) -> str:
    names = fitted.classes
    some = ', '.join(names[:4])
    return (
        f'classification of images into {words.count(len(names), "class")} ({some}'
        f'{", ..." if len(names) > 4 else ""}), for images like those of the training data'
    )


def _network(fitted: FineTuneRun) -> str:
    model = fitted.plan.model
    return (
        f'{markup.flat(model.architecture)}, {words.amount(model.parameters)} parameters, '
        f'input of {model.eval_size} pixels per side'
    )


def _origin(fitted: FineTuneRun) -> str:
    """Revision of the initial weights, and the choices of the reader of their file."""
    model = fitted.plan.model
    parts = [f'revision {markup.flat(model.revision)}'] if model.revision else []
    return ''.join(f', {part}' for part in [*parts, *map(markup.flat, model.weights_notes)])


def _data(fitted: FineTuneRun) -> str:
    data = fitted.plan.data
    parts = ', '.join(
        f'{getattr(data, part):,} {called}'
        for part, called in dict(train='training', val='validation', test='test').items()
        if getattr(data, part)
    )
    drawn = f', split {markup.flat(words.local(fitted.split["drawn"]))}' if fitted.split else ''
    return f'{markup.flat(words.local(data.name))}: {parts} images{drawn}'


def _training(fitted: FineTuneRun) -> str:
    if not fitted.finetune:
        return 'a linear head on frozen features'
    variant, recipe = fitted.config['variant'], fitted.config['finetune']
    more = (
        f', then {words.count(fitted.refit, "epoch")} of final training on train + validation'
        if fitted.refit
        else ''
    )
    return (
        f'all layers, {recipe.get("epochs")} epochs, {variant.get("optimizer")}, learning rate '
        f'{variant.get("learning_rate")}, {variant.get("schedule")}, images of '
        f'{fitted.plan.model.train_size} pixels{more}; all settings are in section "Evidence for '
        'each setting"'
    )


def _metrics(fitted: FineTuneRun) -> str:
    called = dict(accuracy='accuracy', macro_f1='macro F1')
    final = fitted.final
    metrics = [
        f'{name} {scores.score(fitted, key)}' for key, name in called.items() if final.get(key)
    ]
    metrics += [f'top 5 {words.percent(final["top5"])}'] if final.get('top5') else []
    return f'{", ".join(metrics)} on {scores.images(fitted)}'


def _limits(fitted: FineTuneRun) -> str:
    limits = ['probabilities are calibrated for images like those evaluated']
    if fitted.part == 'validation':
        since = '; they precede the final training on train + validation' if fitted.refit else ''
        limits.append(f'scores are on validation images, which also selected the network{since}')
    if fitted.split.get('groups') and not fitted.split.get('grouped'):
        limits.append('the random split has similar images in both splits')
    if fitted.evaluation:
        untested = int((fitted.confusion.sum(1) == 0).sum())
        limits += [f'{words.count(untested, "class")} had no image to evaluate'] if untested else []
    return '; '.join(limits)


def _waiting(waited: float | None) -> str:
    if waited is None:
        return ''
    if waited < SLOW_INPUT:
        return f' Data loading takes {words.percent(waited)} of training time.'
    return (
        f' Data loading takes {words.percent(waited)} of training time. More workers or smaller '
        'images would make training faster.'
    )
