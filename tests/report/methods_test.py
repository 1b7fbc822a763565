"""Methods paragraph of an ablation: every setting, number and citation follows from the run."""

import dataclasses
import re

import pytest
import workdirs

from jaxdl.data import Data
from jaxdl.report.ablation import methods, reading, settings_text
from jaxdl.report.page import words
from jaxdl.report.page.blocks import Items
from jaxdl.train.variant import Variant

DEFAULTS = dict(variant=dataclasses.asdict(Variant()), data=dataclasses.asdict(Data()))
TUNED = {'learning_rate'}  # chosen by the protocol, not by the settings


@pytest.fixture(scope='module')
def usual(tmp_path_factory):
    folder = tmp_path_factory.mktemp('usual') / 'run'
    study = reading.read(workdirs.make(folder, options=workdirs.first(3), seeds=4, epochs=2))
    plan = dataclasses.replace(study.plan, defaults=DEFAULTS)
    return dataclasses.replace(study, config=study.config | DEFAULTS, plan=plan)


def text_of(study, **changes) -> str:
    """The paragraph with other settings: part of config.json -> fields."""
    config = study.config | {part: study.config[part] | new for part, new in changes.items()}
    text = methods.paragraph(dataclasses.replace(study, config=config))
    return text.replace(words.SPACE, ' ')


def another(value):
    """A value of the same type that is not `value`."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 3 if isinstance(value, int) else value + 0.375
    return ('stem', 'layer1') if isinstance(value, tuple) else 'some_other_value'


def written(value) -> str:
    """How a value is written in a sentence."""
    if isinstance(value, tuple):
        return 'stem and layer1'
    if isinstance(value, str):
        return 'some other value'
    return f'{value:g}'


@pytest.mark.parametrize('name', sorted({f.name for f in dataclasses.fields(Variant)} - TUNED))
def test_every_setting_that_is_not_the_default_is_in_the_text(name, usual):
    value = another(DEFAULTS['variant'][name])
    text = text_of(usual, variant={name: value})
    if name == 'pooling':  # the factor of the study
        assert written(value) not in text
        return
    stated = text.replace('_', ' ')
    assert re.search(rf'(?<![\w.]){re.escape(written(value))}(?!\w)', stated), text
    assert text != text_of(usual)


@pytest.mark.parametrize('name', ['train_share', 'subset', 'classes', 'fractions', 'split_seed'])
def test_every_setting_of_the_data_that_is_not_the_default_is_in_the_text(name, usual):
    value = dict(train_share=0.25, subset=77, classes=5, fractions=[0.5, 0.3, 0.2], split_seed=9)
    text = text_of(usual, data={name: value[name]})
    assert 'Settings of the data: ' in text
    assert ('0.5, 0.3 and 0.2' if name == 'fractions' else f'{value[name]:g}') in text


def test_defaults_are_stated_only_if_the_run_recorded_them(usual):
    assert 'All other settings had the defaults of jaxdl.' in text_of(usual)
    unknown = dataclasses.replace(usual, plan=dataclasses.replace(usual.plan, defaults=None))
    assert 'default' not in text_of(unknown, variant=dict(dropout=0.5))


def test_the_numbers_are_those_of_the_run(usual):
    text = text_of(usual)
    for part in (
        'We compared 2 options of pooling (avg and avgmax) with the baseline max.',
        '1,078 images for training, 359 for validation and 360 for test',
        '12,346 parameters',
        'trained for 2 epochs with SGD with momentum 0.9, batch size 32',
        'from 0.01, 0.0316, 0.1, 0.316, 1 by the mean validation accuracy',
        'over 3 tuning seeds',
        'trained with 4 evaluation seeds, none of them a tuning seed,',
        "Holm's correction for 2 comparisons (Holm 1979)",
        'jax 0.10.2',
        'Python 3.11.7',
    ):
        assert part in text, text


@pytest.mark.parametrize('optimizer', [*settings_text.OPTIMIZERS, 'registered'])
def test_optimizers_have_their_moments(optimizer, usual):
    text = text_of(usual, variant=dict(optimizer=optimizer, momentum=0.8125, beta2=0.9375))
    words_of_optimizer = settings_text.OPTIMIZERS.get(optimizer) or optimizer
    assert f'epochs with {words_of_optimizer.partition("{")[0]}' in text
    # Each is stated once: with the optimizer that uses it, or among the other settings.
    assert (text.count('0.8125'), text.count('0.9375')) == (1, 1)


def test_references_are_those_that_the_text_cites(usual):
    cited = set(re.findall(r'\(([^()]*? \d{4})\)', text_of(usual)))
    elsewhere = {'Nadeau and Bengio 2003', 'Welch 1947', 'Owen 1998', 'Godbole et al. 2023'}
    elsewhere |= {'Jamieson and Talwalkar 2016'}
    assert cited == set(methods.REFERENCES) - elsewhere
    (references,) = (b for b in methods.blocks(usual) if isinstance(b, Items))
    assert [*references.items] == [text for key, text in methods.REFERENCES.items() if key in cited]
    for key, reference in methods.REFERENCES.items():
        author, year = key.split()[0], key.split()[-1]
        assert reference.startswith(author)
        assert f'({year})' in reference


def test_splits_per_seed_cite_their_correction_instead(usual):
    text = text_of(usual, data=dict(resample_split=True))
    assert 'each seed drew its own split' in text
    assert '(Nadeau and Bengio 2003)' in text
    assert 'Satterthwaite' not in text


def test_without_tuning_there_is_neither_grid_nor_margin(tmp_path):
    folder = workdirs.make(tmp_path, options=workdirs.first(2), seeds=2, epochs=2, rates=[0.05])
    text = text_of(reading.read(folder))
    assert 'The learning rate was 0.05 and was not tuned.' in text
    assert 'tuning seed' not in text
    assert 'Schuirmann' not in text


def test_names_with_commas_are_told_apart(tmp_path):
    options = {'max': (0.03, 0.1), 'sum, mean': (0.03, 0.1), 'sum': (0.03, 0.1)}
    folder = workdirs.make(tmp_path, options=options, seeds=2, epochs=2, rates=[0.05])
    assert 'options of pooling (sum, mean; sum) with' in text_of(reading.read(folder))


def test_conditions_that_differ_are_told_apart(tmp_path):
    conditions = {'short': {}, 'long': dict(epochs=7)}
    same = {name: {} for name in conditions}
    workdirs.make(tmp_path, options=workdirs.first(2), seeds=2, epochs=2, conditions=same)
    study = reading.read(tmp_path)
    text = text_of(study, conditions=conditions)
    assert 'The comparison was repeated under 2 conditions: short and long.' in text
    assert 'Condition short: Each network was trained for 2 epochs' in text
    assert text.count('The network was') == 1
    assert 'trained for 7 epochs' in text
    assert text.count('The data set was') == 1
