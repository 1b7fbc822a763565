"""A model card (Mitchell et al.

2019), how to predict with the network, what it cost, and what it was made with.
"""

import shlex

from jaxdl.report import demonstration, provenance
from jaxdl.report.finetune.finetuned import Fitted
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Code, Paragraph, Table

GROUP = ('options', 'members', 'traces', 'steps', 'batch_size', 'compile_seconds', 'train_seconds')
UNKNOWN = 'unknown: ask whoever published the weights, before the network is passed on'
SLOW_INPUT = 0.1  # a share of waiting from which it is worth a thought


def card(fitted: Fitted) -> list[Block]:
    """What the network is for, what it learnt from, how good it is and where that ends."""
    model = fitted.plan['model']
    rows = {
        'Intended use': _use(fitted),
        'Not for': 'anything that is none of these classes: it has no answer for "none of them", and names one anyway',
        'Network': _network(fitted),
        'Weights it started from': f'{markup.code(words.local(model.get("weights") or fitted.config["weights"]))}'
        + _revision(fitted),
        'Licence of the weights': markup.flat(
            model.get('licence') or fitted.config.get('licence') or UNKNOWN
        ),
        'Data': _data(fitted),
        'Training': _training(fitted),
        'Metrics': _metrics(fitted),
        'Limits': _limits(fitted),
    }
    return [
        Table('The network in short', ('What', 'Value'), [[*row] for row in rows.items()], 'lw')
    ]


def predict(fitted: Fitted) -> list[Block]:
    """The command line and the lines of Python that name the class of new images."""
    workdir = shlex.quote(fitted.name)
    submission = fitted.run.get('submission') or {}
    made: list[Block] = []
    if submission.get('file'):
        file, rows = markup.code(words.local(submission['file'])), submission.get('rows')
        made = [
            Paragraph(
                f'The images without labels are predicted already: {file}, {words.exactly(rows)} rows.'
            )
        ]
    return [
        *made,
        Paragraph('From the command line, in the folder that holds the workdir:'),
        Code(
            f'python -m jaxdl.main --mode=predict --checkpoint={workdir} --images=DIR --output=predictions.csv'
        ),
        Paragraph('From Python:'),
        Code(
            f'import jaxdl\npredictor = jaxdl.Predictor.from_checkpoint({fitted.name!r})\n'
            "predictions = predictor.predict(['image.jpg'])  # .class_names [n], .probabilities [n, classes]"
        ),
    ]


def cost(fitted: Fitted) -> list[Block]:
    """Seconds of every part, images a second, and how long training waited for images."""
    run = fitted.run
    rows = [
        [part.replace('_', ' '), words.seconds(value)] for part, value in run['seconds'].items()
    ]
    if run.get('images_per_second') is not None:
        rows.append(['images a second, in training', words.significant(run['images_per_second'])])
    waited = run.get('input_wait')
    if waited is not None:
        rows.append(['share of the training spent waiting for images', words.percent(waited)])
    told = [Paragraph(f'On {markup.flat(run["device"])}.{_waiting(waited)}')]
    return [*told, Table('Time', ('What', 'Value'), rows, 'wr')]


def made(fitted: Fitted) -> list[Block]:
    """Everything that someone who repeats the run would ask for.

    Without a path of the machine it ran on.
    """
    run, data = fitted.run, fitted.plan['data']
    facts = provenance.facts(fitted.config['name'], run)
    if run.get('resumed') is not None:
        facts['Resumed'] = words.count(run['resumed'], 'time') if run['resumed'] else 'never'
    sums = dict(Data=data.get('checksum'), Weights=fitted.plan['model'].get('weights_checksum'))
    facts |= {f'{what}, checksum': str(value)[:16] for what, value in sums.items() if value}
    facts |= {'Decoder': data['decoder']} if data.get('decoder') else {}
    rows = [[name, markup.flat(words.local(str(value)))] for name, value in facts.items()]
    whole = [group for group in run.get('groups') or () if all(key in group for key in GROUP)]
    return [
        *provenance.command(run['command']),
        Table('The run', ('What', 'Value'), rows, 'lw'),
        *([demonstration.groups(run | dict(groups=whole))] if whole else []),
        Paragraph(
            f'Every measurement is in {markup.code("results.csv")} of the workdir. This report is built again from the '
            'workdir alone, without jax, by:'
        ),
        Code(f'python -m jaxdl.main --mode=report --workdir={shlex.quote(fitted.name)}'),
    ]


def _use(fitted: Fitted) -> str:
    names = fitted.classes
    some = ', '.join(names[:4])
    return (
        f'to tell which of {words.count(len(names), "class")} a picture shows ({some}'
        f'{", ..." if len(names) > 4 else ""}), on pictures of the kind that it was trained on'
    )


def _network(fitted: Fitted) -> str:
    model = fitted.plan['model']
    size = f', {words.amount(model["parameters"])} parameters' if model.get('parameters') else ''
    pixels = (
        f', fed with images of {model["eval_size"]} pixels a side' if model.get('eval_size') else ''
    )
    return f'{markup.flat(model.get("architecture") or "unnamed")}{size}{pixels}'


def _revision(fitted: Fitted) -> str:
    revision = fitted.plan['model'].get('revision') or fitted.config.get('revision')
    return f', revision {markup.flat(revision)}' if revision else ''


def _data(fitted: Fitted) -> str:
    data = fitted.plan['data']
    parts = ', '.join(
        f'{data[part]:,} {called}'
        for part, called in dict(train='training', val='validation', test='test').items()
        if data.get(part)
    )
    drawn = f', split {markup.flat(words.local(fitted.split["drawn"]))}' if fitted.split else ''
    return f'{markup.flat(words.local(data["name"]))}: {parts} images{drawn}'


def _training(fitted: Fitted) -> str:
    if not fitted.finetune:
        return 'a linear head on the features of the untouched network'
    variant, recipe = fitted.config['variant'], fitted.config['finetune']
    more = (
        f', then {words.count(fitted.refit, "epoch")} of all images, those of validation too'
        if fitted.refit
        else ''
    )
    return (
        f'all layers, {recipe.get("epochs")} epochs, {variant.get("optimizer")}, learning rate '
        f'{variant.get("learning_rate")}, {variant.get("schedule")}, images of {recipe.get("train_size")} pixels{more}'
        '; every setting is in the table of decisions'
    )


def _metrics(fitted: Fitted) -> str:
    called = dict(accuracy='accuracy', macro_f1='macro F1', top5='top 5')
    told = [
        f'{name} {words.percent(fitted.final[key])}'
        for key, name in called.items()
        if fitted.final.get(key)
    ]
    return f'{", ".join(told)} on {fitted.images:,} {fitted.part} images'


def _limits(fitted: Fitted) -> str:
    told = ['probabilities hold for pictures like those it was scored on']
    if fitted.part == 'validation':
        since = '; the network has learnt from them too since' if fitted.refit else ''
        told.append(f'the scores are of validation images, which chose among the networks{since}')
    if fitted.split.get('groups') and not fitted.split.get('grouped'):
        told.append('the split at random put similar images on both sides')
    if fitted.evaluation:
        untested = int((fitted.confusion.sum(1) == 0).sum())
        told += (
            [f'{words.count(untested, "class")} had no image to be scored on'] if untested else []
        )
    return '; '.join(told)


def _waiting(waited: float | None) -> str:
    if waited is None:
        return ''
    if waited < SLOW_INPUT:
        return ' The images came fast enough: training hardly waited for them.'
    return ' Training waited for images: more workers, or smaller decoded images, would make it faster.'
