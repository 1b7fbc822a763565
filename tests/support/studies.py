"""Studies small enough for a test: real data, the real engine, a narrow network."""

import dataclasses

import jax
import numpy as np

from jaxdl import ensemble
from jaxdl.config.experiment import Ablation
from jaxdl.config.overrides import check, override
from jaxdl.data import Data, load, split
from jaxdl.data.on_device import place_on_device
from jaxdl.ensemble import Member
from jaxdl.train.variant import Variant, program_key

PROGRAMS = {}  # what this process has compiled: tests that differ in numbers only share it


def small(**overrides):
    """Two ways of pooling, tuned over two rates, in seconds."""
    ablation = Ablation(
        factor='pooling',
        baseline='max',
        options={p: dict(pooling=p) for p in ('max', 'avg')},
        variant=Variant(width=2, depth=1),
        data=Data(),
        learning_rates=(0.1, 0.3),
        tuning_seeds=1,
        seeds=2,
        epochs=2,
        name='small',
        question='Does it run?',
    )
    return check(override(ablation, overrides))


def initialisations(**overrides):
    """Ways of starting, which share one program."""
    options = {init: dict(init=init) for init in ('he_normal', 'zeros', 'glorot_normal')}
    study = dataclasses.replace(small(), options=options, baseline='he_normal', factor='init')
    return check(override(study, overrides))


def members(variants, seeds):
    """Every variant under every seed."""
    return [Member(str(i), seed, variant) for i, variant in enumerate(variants) for seed in seeds]


def digits():
    """The digits on the device."""
    dataset = load(Data())
    return place_on_device(dataset, [split(dataset, Data())])


def train(members, chunk, epochs=1, data=None, after_epoch=lambda training: None):
    """Train a chunk, indices into `members`; returns training, programs and test results."""
    data, chunk = data or digits(), np.asarray(chunk)
    states = ensemble.initial_states(chunk, members, 10, data.images.shape[1:])
    training = ensemble.new_training(states, epochs)
    variants, row_keys = ensemble.inputs(chunk, members)
    shapes = tuple(leaf.shape for leaf in jax.tree.leaves((variants, row_keys, states, data)))
    key = (program_key(variants, shapes), ensemble.find_optional_parts(members))
    if key not in PROGRAMS:
        PROGRAMS[key] = ensemble.compile_programs(chunk, members, data, 10)
    programs = PROGRAMS[key]
    ensemble.train(training, programs, variants, row_keys, data, after_epoch)
    return training, programs, ensemble.test(training, programs, variants, data)


def train_alone(member, epochs=1):
    """The run of one member by itself."""
    return train([dataclasses.replace(member)], [[0]], epochs)
