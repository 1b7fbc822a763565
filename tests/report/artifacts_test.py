"""Report sections of artifacts: complete where a file exists, absent where it does not."""

import base64
import dataclasses
import html
import math
import pathlib
import re

import numpy as np
import pytest
import workdirs

from jaxdl.report.ablation import contact_sheet, diagnostics, differing, logit_gradients, reading
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, plots, render, words
from jaxdl.report.page.blocks import Drawing, Figure, Items, Page, Paragraph, Section, Table

HOSTILE = '<b>|x *y* `z`'
SECTIONS = dict(
    contact_sheet=contact_sheet,
    logit_gradients=logit_gradients,
    probes=diagnostics,
    differing=differing,
)
LOSSES = {
    'softmax, cross-entropy': 'softmax_cross_entropy',
    'softmax, squared': 'softmax_squared_error',
    'ReLU, softmax': 'relu_softmax_cross_entropy',
    'sigmoid, softmax': 'sigmoid_softmax_cross_entropy',
    'softmax twice': 'double_softmax_cross_entropy',
}
STARTS = ('he_normal', 'zeros', 'normal_1')
LAYERS = (
    'head',
    'layer_0.dense',
    'layer_10.dense',
    'layer_2.dense',
)  # as a tree of arrays has them


@pytest.fixture(scope='module')
def usual(tmp_path_factory) -> AblationRun:
    options = workdirs.first(2)
    folder = tmp_path_factory.mktemp('usual')
    return reading.read(workdirs.make(folder, options=options, seeds=2, tuning_seeds=1, epochs=2))


@pytest.fixture
def undrawn(monkeypatch):
    """Figures without their drawings, which take most of the time: for tests of what is said."""
    monkeypatch.setattr(plots, 'draw', lambda plot: Drawing(b'', b'', b'', (0, 0), (0, 0)))


def changed(study: AblationRun, settings: dict, **data) -> AblationRun:
    """The study with options of these settings (the first is its baseline) and other data."""
    config = study.config | dict(options=settings, baseline=next(iter(settings)))
    plans = {condition: dataclasses.replace(plan, **data) for condition, plan in study.data.items()}
    plan = dataclasses.replace(study.plan, data=plans)
    return dataclasses.replace(study, config=config, plan=plan)


def sheet(names, channels=1, side=8, count=8):
    rng = np.random.default_rng(0)
    images = rng.random((count, side, side, channels)).astype(np.float32)
    noisy = {
        name: np.clip(images + 0.1 * i * rng.standard_normal(images.shape), 0, 1)
        for i, name in enumerate(names)
    }
    return {name: values.astype(np.float32) for name, values in noisy.items()}


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


VALUES = {
    'softmax_cross_entropy': lambda z: -np.log(softmax(z)[:, 0]),
    'softmax_squared_error': lambda z: ((softmax(z) - np.eye(z.shape[1])[0]) ** 2).sum(-1),
    'relu_softmax_cross_entropy': lambda z: -np.log(softmax(np.maximum(z, 0))[:, 0]),
    'sigmoid_softmax_cross_entropy': lambda z: -np.log(softmax(sigmoid(z))[:, 0]),
    'double_softmax_cross_entropy': lambda z: -np.log(softmax(softmax(z))[:, 0]),
}


def slopes(losses: dict[str, str], classes: int) -> dict[str, np.ndarray]:
    """Each loss along one logit, with its central difference quotients."""
    logit = np.linspace(-12, 12, 97)
    h = 1e-5
    rows, gradient = [], []
    for loss in losses.values():
        low, mid, high = (np.zeros((97, classes)) for _ in range(3))
        low[:, 0], mid[:, 0], high[:, 0] = logit - h, logit, logit + h
        rows.append(VALUES[loss](mid))
        gradient.append((VALUES[loss](high) - VALUES[loss](low)) / (2 * h))
    loss = np.stack(rows)
    return dict(
        option=np.array(list(losses)),
        logit=logit,
        loss=loss,
        gradient=np.stack(gradient),
        best=loss.min(1),
    )


def answers(options=STARTS, seeds=3, layers=LAYERS) -> dict[str, np.ndarray]:
    """Probes of a healthy option, of equal units without gradient, and of one with odd numbers."""
    rng = np.random.default_rng(1)
    option, m = np.repeat(options, seeds), len(options) * seeds
    dead = option == options[1]
    arrays = dict(option=option, seed=np.tile(np.arange(1000, 1000 + seeds), len(options)))
    for when, size in (('start', 1.0), ('end', 0.03)):
        for i, layer in enumerate(layers):
            norms = size * 10.0 ** rng.normal(-0.5 * i, 0.3, m)
            arrays[f'{when}.gradient_norms.{layer}'] = np.where(dead, 0, norms).astype(np.float32)
        for layer in ('hidden_0', 'hidden_1', 'hidden_2'):
            arrays[f'{when}.distinct_units.{layer}'] = np.where(
                dead, 1, rng.integers(14, 17, m)
            ).astype(np.int32)
        along = np.linspace(-2.5, 2.5, 80)
        x, y = np.meshgrid(along, along)
        margin = np.stack([3 * (y - np.sin(1.5 * x + rng.normal(0, 0.3))) for _ in range(m)])
        margin[dead] = 0
        arrays[f'{when}.boundary.logits'] = np.stack([-margin / 2, margin / 2], -1).astype(
            np.float32
        )
    return arrays


def saved(folder: pathlib.Path, name: str, arrays: dict[str, np.ndarray]) -> pathlib.Path:
    np.savez_compressed(folder / f'{name}.npz', **arrays)
    return folder


def sheet_of(folder, study, arrays):
    return contact_sheet.blocks(saved(folder, 'contact_sheet', arrays), study, '', 'contact_sheet')


def slopes_of(folder, study, losses=LOSSES, classes=10, arrays=None):
    study = changed(
        study,
        {o: dict(loss=loss) for o, loss in losses.items()},
        classes=[str(i) for i in range(classes)],
    )
    folder = saved(folder, 'logit_gradients', arrays or slopes(losses, classes))
    return logit_gradients.blocks(folder, study, '', 'logits')


def probes_of(folder, study, arrays, options=STARTS, classes=('moon', 'other')):
    study = changed(study, {option: dict(init=option) for option in options}, classes=list(classes))
    return diagnostics.blocks(saved(folder, 'probes', arrays), study, '', 'probes')


def counted(options=('max', 'avg'), images=30, side=8, channels=1):
    """Content of differing.npz: correct seeds of 10, of each option."""
    rng = np.random.default_rng(2)
    return dict(
        images=rng.integers(0, 256, (images, side, side, channels), np.uint8),
        id=np.array([f'digit {i}' for i in range(images)]),
        label=np.array([str(i % 10) for i in range(images)]),
        option=np.array(options[::-1]),
        correct=rng.integers(0, 11, (len(options), images)),
        tested=np.full((len(options), images), 10),
        differing=np.asarray(images + 5),
    )


def differing_of(folder, study, arrays, options=('max', 'avg')):
    study = changed(study, {option: {} for option in options})
    return differing.blocks(saved(folder, 'differing', arrays), study, '', 'differing')


def only(blocks, kind):
    (one,) = (block for block in blocks if isinstance(block, kind))
    return one


def text(blocks) -> str:
    """All running text, without the marks of names."""
    lines = [
        line
        for b in blocks
        for line in (b.items if isinstance(b, Items) else [getattr(b, 'text', '')])
    ]
    return markup.plain('\n'.join(lines))


def rows(table: Table) -> dict[str, list[str]]:
    return {markup.plain(row[0]): list(row[1:]) for row in table.rows}


def rendered(blocks) -> tuple[str, str]:
    page = Page('A study', [], [Section('Artifacts', blocks)])
    return render.html(page), render.markdown(page)


@pytest.mark.parametrize('make', [sheet_of, slopes_of, probes_of, differing_of])
def test_sections_stand_on_both_pages(make, usual, tmp_path):
    arguments = {
        sheet_of: [sheet(['none', 'flip', 'mixup'])],
        slopes_of: [],
        probes_of: [answers()],
        differing_of: [counted()],
    }[make]
    blocks = make(tmp_path, usual, *arguments)
    page, plain = rendered(blocks)
    figures = [block for block in blocks if isinstance(block, Figure)]
    assert figures
    assert page.count('<figure') == len(figures)
    for figure in figures:
        assert f'figures/{figure.name}.png' in plain
        assert html.escape(figure.alt, quote=False) in html.unescape(
            page
        ) or figure.alt in html.unescape(page)
        assert figure.drawing.size[0] <= 960
        assert figure.drawing.size_narrow[0] <= 360
        for drawing in (figure.drawing.svg, figure.drawing.svg_narrow):
            links = re.findall(r'href="([^"]*)"', drawing.decode())
            assert all(link.startswith(('#', 'data:image/png;base64,')) for link in links)


@pytest.mark.parametrize('name', SECTIONS)
@pytest.mark.parametrize(
    'content', [None, b'', b'PK\x03\x04 no archive', b'text', 'cut', 'other', 'objects']
)
def test_absent_damaged_or_other_files_give_nothing(name, content, usual, tmp_path):
    path = tmp_path / f'{name}.npz'
    if content == 'cut':
        saved(tmp_path, name, dict(option=np.zeros(1000)))
        path.write_bytes(path.read_bytes()[:200])
    elif content == 'other':
        saved(tmp_path, name, dict(something=np.arange(3)))
    elif content == 'objects':
        saved(tmp_path, name, dict(option=np.array([dict()], object)))
    elif content is not None:
        path.write_bytes(content)
    assert SECTIONS[name].blocks(tmp_path, usual, '', 'figure') == []


def test_a_changed_byte_gives_nothing_or_a_section(usual, tmp_path):
    saved(tmp_path, 'contact_sheet', sheet(['none', 'flip']))
    whole = (tmp_path / 'contact_sheet.npz').read_bytes()
    for place in range(0, len(whole), len(whole) // 40):
        changed_byte = whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        (tmp_path / 'contact_sheet.npz').write_bytes(changed_byte)
        assert isinstance(reading.arrays(tmp_path / 'contact_sheet.npz'), dict)


def test_images_that_cannot_be_shown_give_nothing(usual, tmp_path):
    good = sheet(['none', 'flip'])
    for bad in (
        np.zeros((8, 8, 8), np.float32),
        np.zeros((8, 8, 8, 30), np.float32),
        np.zeros((0, 8, 8, 1), np.float32),
    ):
        assert sheet_of(tmp_path, usual, dict(none=bad, flip=bad)) == []
        assert sheet_of(tmp_path, usual, good | dict(flip=bad)) == []
    assert sheet_of(tmp_path, usual, good | dict(flip=np.full_like(good['flip'], np.nan))) == []


def test_a_contact_sheet_shows_the_pixels_themselves(usual, tmp_path):
    from PIL import Image

    arrays = sheet(['flip', 'none'])
    figure = only(sheet_of(tmp_path, usual, arrays), Figure)
    encoded = re.findall(r'base64,\s*([\w+/=\s]+)"', figure.drawing.svg.decode())
    assert len(encoded) == 16
    images = []
    for one in encoded:
        (tmp_path / 'one.png').write_bytes(base64.b64decode(one))
        with Image.open(tmp_path / 'one.png') as image:
            images.append(np.asarray(image)[..., 0])
    tiles = np.concatenate([arrays['none'], arrays['flip']])[
        ..., 0
    ]  # the images as they are come first
    close = [min(np.abs(image - 255 * tile).max() for image in images) for tile in tiles]
    assert max(close) <= 1
    assert len(re.findall('base64,', figure.drawing.svg_narrow.decode())) == 8


@pytest.mark.parametrize('side', [1, 7, 64, 65, 200])
def test_large_images_are_averaged_down(side, usual, tmp_path):
    figure = only(sheet_of(tmp_path, usual, sheet(['flip'], 3, side, 2)), Figure)
    assert len(figure.drawing.svg) < 100_000
    values = np.random.default_rng(0).random((2, 128, 128, 3))
    small = contact_sheet._small(values)
    np.testing.assert_allclose(small[:, 3, 5], values[:, 6:8, 10:12].mean((1, 2)))


@pytest.mark.usefixtures('undrawn')
def test_the_stated_change_is_that_of_the_arrays(usual, tmp_path):
    arrays = sheet(['original', 'rotation', 'cutmix'])
    alt = only(sheet_of(tmp_path, usual, arrays), Figure).alt
    for name in ('rotation', 'cutmix'):
        assert f'{name} {100 * np.abs(arrays[name] - arrays["original"]).mean():.1f}' in alt
    assert 'Mean change' not in only(sheet_of(tmp_path, usual, sheet(['rotation'])), Figure).alt


@pytest.mark.usefixtures('undrawn')
def test_labels_that_augmentation_breaks_are_reported(usual, tmp_path):
    photographs = changed(usual, dict(none={}), name='birds')
    assert 'flip breaks labels on this data set' in text(
        sheet_of(tmp_path, usual, sheet(['none', 'flip']))
    )
    assert 'If they show digits or letters' in text(
        sheet_of(tmp_path, photographs, sheet(['none', 'flip']))
    )
    message = text(sheet_of(tmp_path, photographs, sheet(['none', 'flip'], 3)))
    assert 'keeps the label' in message
    assert 'break' not in message
    assert 'flip' not in text(sheet_of(tmp_path, usual, sheet(['none', 'rotation'])))
    assert 'two classes' in text(sheet_of(tmp_path, usual, sheet(['none', 'cutmix'])))
    assert 'two classes' not in text(sheet_of(tmp_path, usual, sheet(['none', 'rotation'])))
    assert 'no saturation' in text(sheet_of(tmp_path, usual, sheet(['none', 'colour'])))
    assert 'no saturation' not in text(sheet_of(tmp_path, usual, sheet(['none', 'colour'], 3)))


@pytest.mark.usefixtures('undrawn')
def test_the_table_of_slopes_is_the_arrays(usual, tmp_path):
    arrays = slopes(LOSSES, 10)
    table = rows(only(slopes_of(tmp_path, usual, arrays=arrays), Table))
    middle = list(arrays['logit']).index(0)
    assert list(table) == list(LOSSES)
    for i, option in enumerate(LOSSES):
        least, centre, wrong = table[option]
        assert float(least) == pytest.approx(arrays['best'][i], abs=6e-4)
        assert float(centre.replace(words.MINUS, '-')) == pytest.approx(
            arrays['gradient'][i, middle], abs=6e-4
        )
        assert float(wrong.replace(words.MINUS, '-')) == pytest.approx(
            arrays['gradient'][i, 0], abs=6e-4, rel=0.5
        )


@pytest.mark.usefixtures('undrawn')
@pytest.mark.parametrize('classes', [2, 10, 61])
def test_the_bound_of_a_second_softmax_is_the_textbooks(classes, usual, tmp_path):
    message = text(slopes_of(tmp_path, usual, classes=classes))
    assert (
        message.count(f'{math.log(1 + (classes - 1) / math.e):.2f}{words.SPACE}nats (a guess') == 2
    )
    assert f'{math.e / (math.e + classes - 1):.3f}' in message
    assert f'ln {classes} = {math.log(classes):.2f}' in message
    # No logits do better: the largest probability is that of one input of 1 among others of 0.
    z = np.random.default_rng(0).normal(0, 30, (2000, classes))
    for inner in (softmax, sigmoid):
        assert softmax(inner(z)).max() <= math.e / (math.e + classes - 1) + 1e-12


@pytest.mark.usefixtures('undrawn')
def test_a_mistake_is_reported_only_for_options_that_make_it(usual, tmp_path):
    message = text(slopes_of(tmp_path, usual))
    assert (
        'ReLU, softmax: the gradient is exactly 0 '
        'if the logit of the true class is below 0 (48 of 97' in message
    )
    assert re.search(r'softmax, squared: the gradient at logit .* \(confidently wrong\)', message)
    sound = {'softmax, cross-entropy': 'softmax_cross_entropy'}
    for mistake in ('no probability', 'at least', 'exactly 0', 'learn slowest'):
        assert mistake not in text(slopes_of(tmp_path, usual, sound)[:1])
    arrays = slopes(LOSSES, 10)
    arrays['gradient'] = np.where(
        arrays['gradient'] == 0, -0.1, arrays['gradient']
    )  # numbers that say otherwise
    arrays['loss'] = arrays['loss'] - 1.6
    message = text(slopes_of(tmp_path, usual, arrays=arrays))
    assert 'exactly 0' not in message
    assert 'ln(1' not in message


@pytest.mark.usefixtures('undrawn')
def test_slopes_that_do_not_fit_give_nothing(usual, tmp_path):
    arrays = slopes(LOSSES, 10)
    for key, bad in (
        ('loss', arrays['loss'][:, 1:]),
        ('best', arrays['best'] * np.nan),
        ('logit', arrays['logit'][::-1]),
    ):
        assert slopes_of(tmp_path, usual, arrays=arrays | {key: bad}) == []
    assert slopes_of(tmp_path, usual, {'another': 'softmax_cross_entropy'}, arrays=arrays) == []


@pytest.mark.usefixtures('undrawn')
def test_layers_stand_in_their_order(usual, tmp_path):
    caption = markup.plain(probes_of(tmp_path, usual, answers())[0].caption)
    assert caption.endswith('Layers: 1 layer_0.dense, 2 layer_2.dense, 3 layer_10.dense, 4 head.')
    arrays = answers(layers=('head', 'hidden', 'stage_0.conv', 'stage_1.conv_1', 'stage_1.conv_0'))
    caption = markup.plain(probes_of(tmp_path, usual, arrays)[0].caption)
    assert caption.endswith('1 stage_0.conv, 2 stage_1.conv_0, 3 stage_1.conv_1, 4 hidden, 5 head.')


@pytest.mark.usefixtures('undrawn')
def test_norms_and_units_are_those_of_the_arrays(usual, tmp_path):
    arrays = answers()
    blocks = probes_of(tmp_path, usual, arrays)
    table, of_option = rows(only(blocks, Table)), arrays['option'] == 'normal_1'
    norms = [
        arrays[f'end.gradient_norms.{layer}'][of_option].mean()
        for layer in ('layer_0.dense', 'layer_2.dense')
    ]
    assert f'end {norms[0]:.2g}, {norms[1]:.2g}, ' in blocks[0].alt.partition('normal_1: ')[2]
    units = arrays['end.distinct_units.hidden_0'][of_option]
    mean, *span = re.findall(r'[\d.]+', table['normal_1'][0])
    assert float(mean) == pytest.approx(units.mean(), abs=0.051)
    assert [float(end) for end in span] in ([], [units.min(), units.max()])
    assert only(blocks, Table).columns[1].endswith('(of 16)')
    assert table['zeros'] == ['1', '1', '1']


@pytest.mark.usefixtures('undrawn')
def test_failing_initialisations_are_explained_only_where_numbers_show_it(usual, tmp_path):
    arrays = answers()
    message = text(probes_of(tmp_path, usual, arrays))
    assert 'zeros: all units of each hidden layer are equal' in message
    assert 'gradient with respect to every kernel is 0' in message
    assert 'he_normal' not in message
    moving = arrays | {'end.gradient_norms.head': np.ones(9, np.float32)}
    message = text(probes_of(tmp_path, usual, moving))
    assert 'all units of each hidden layer are equal' in message
    assert 'every kernel is 0' not in message
    for changes in (
        {'start.distinct_units.hidden_1': np.full(9, 5)},
        {'end.distinct_units.hidden_1': np.full(9, 2)},
    ):
        assert 'are equal' not in text(probes_of(tmp_path, usual, arrays | changes))


@pytest.mark.usefixtures('undrawn')
def test_a_network_that_is_no_longer_finite_is_left_out_and_named(usual, tmp_path):
    arrays = answers()
    norms = arrays['end.gradient_norms.head'].copy()
    norms[[0, 6, 7, 8]] = np.nan
    units = arrays['end.distinct_units.hidden_0'].copy()
    units[0] = 99  # numbers that are not finite all look distinct
    blocks = probes_of(
        tmp_path,
        usual,
        arrays | {'end.gradient_norms.head': norms, 'end.distinct_units.hidden_0': units},
    )
    table = rows(only(blocks, Table))
    assert list(table) == ['he_normal', 'zeros']
    assert '99' not in str(table)
    assert '1 of he_normal and 3 of normal_1' in text(blocks)
    assert 'he_normal' not in blocks[-2].alt, 'the boundary is that of one seed: the first'


@pytest.mark.usefixtures('undrawn')
def test_boundaries_say_which_seed_and_how_much(usual, tmp_path):
    arrays = answers()
    figure = probes_of(tmp_path, usual, arrays)[-1]
    assert figure.name == 'probes_boundaries'
    assert 'seed 1000' in figure.caption
    logits = arrays['end.boundary.logits'][arrays['option'] == 'he_normal'][0].astype(float)
    share, one = 100 * (logits[..., 1] > logits[..., 0]).mean(), softmax(logits)[..., 1]
    assert (
        f'he_normal {share:.0f} % of the square, probability {one.min():.2f} to {one.max():.2f}'
        in figure.alt
    )
    assert 'zeros 0 % of the square, probability 0.50 to 0.50' in figure.alt
    many = probes_of(tmp_path, usual, arrays, classes='abc')
    assert [block.name for block in many if isinstance(block, Figure)] == ['probes_gradients']


def test_each_recorded_probe_gives_its_section(usual, tmp_path):
    arrays = answers()
    head = {key: arrays[key] for key in ('option', 'seed')}
    assert probes_of(tmp_path, usual, head) == []
    for name, kinds in dict(
        gradient_norms=[Figure], distinct_units=[Table, Paragraph, Items], boundary=[Figure]
    ).items():
        blocks = probes_of(
            tmp_path, usual, head | {k: v for k, v in arrays.items() if f'.{name}.' in k}
        )
        assert [type(block) for block in blocks] == kinds
    nothing = {k: np.zeros(9, np.float32) for k in arrays if '.gradient_norms.' in k}
    assert len(probes_of(tmp_path, usual, head | nothing)) == 1


@pytest.mark.usefixtures('undrawn')
@pytest.mark.parametrize('options', [('max', 'avg'), ('a', 'b', 'c')])
def test_images_that_differ_have_their_counts(options, usual, tmp_path):
    arrays = counted(options)
    made = differing_of(tmp_path, usual, arrays, options)
    table, alt = rows(only(made, Table)), only(made, Figure).alt
    assert list(table) == [f'digit {i}' for i in range(24)]
    counts = dict(zip(arrays['option'], arrays['correct'], strict=True))
    for i, (name, cells) in enumerate(table.items()):
        assert cells == [str(i % 10), *(f'{counts[option][i]} of 10' for option in options)]
        farthest = max(options[1:], key=lambda o: abs(counts[o][i] - counts[options[0]][i]))
        shown = (f'{option} {counts[option][i]} of 10' for option in (options[0], farthest))
        assert f'{name} (class {i % 10}): {", ".join(shown)}' in alt
    assert 'the 24 with the largest differences of 35' in only(made, Figure).caption


@pytest.mark.usefixtures('undrawn')
def test_images_that_do_not_fit_the_study_give_nothing(usual, tmp_path):
    good = counted()
    assert differing_of(tmp_path, usual, good)
    for key, bad in (
        ('images', good['images'].astype(float)),
        ('images', good['images'][:3]),
        ('images', np.repeat(good['images'], 2, -1)),
        ('images', np.zeros((30, 8, 600, 1), np.uint8)),
        ('option', np.array(['max', 'l2'])),
        ('option', np.array(['max', 'avg', 'l2'])),
        ('correct', good['correct'][:1]),
        ('tested', good['tested'].astype(float)),
        ('label', np.arange(30)),
        ('differing', np.arange(3)),
    ):
        assert differing_of(tmp_path, usual, good | {key: bad}) == []
    assert differing_of(tmp_path, usual, counted(('max',)), ('max',)) == []


@pytest.mark.parametrize(('side', 'channels'), [(4, 1), (12, 3), (128, 3)])
def test_images_are_drawn_at_a_readable_size(side, channels, usual, tmp_path):
    figure = only(
        differing_of(tmp_path, usual, counted(images=7, side=side, channels=channels)), Figure
    )
    assert figure.drawing.photograph
    assert figure.drawing.size[0] <= 960
    assert figure.drawing.size_narrow[0] <= 360
    widths = re.findall(r'<image [^>]*?width="([\d.]+)"', figure.drawing.svg.decode())
    assert len(widths) == 7


def test_names_stay_text(usual, tmp_path):
    blocks = [
        *sheet_of(tmp_path, usual, sheet(['none', HOSTILE])),
        *slopes_of(tmp_path, usual, {HOSTILE: 'relu_softmax_cross_entropy'}),
        *probes_of(
            tmp_path,
            usual,
            answers(('he_normal', HOSTILE)),
            ('he_normal', HOSTILE),
            (HOSTILE, 'b|c'),
        ),
        *differing_of(tmp_path, usual, counted(('max', HOSTILE)), ('max', HOSTILE)),
    ]
    page, plain = rendered(blocks)
    assert '<b>|x' not in page
    assert '&lt;b&gt;|x' in page
    assert '<b>' not in plain
    assert '\\|x \\*y\\*' in plain
