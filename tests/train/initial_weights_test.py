"""Initial weights from a file: values, names, misfits, and a study that begins with them."""

import dataclasses

import jax
import numpy as np
import pytest
import studies
from flax import traverse_util
from safetensors import numpy as safetensors

import jaxdl
from jaxdl.ablation import planning
from jaxdl.ablation.checks import ranges
from jaxdl.config.overrides import check
from jaxdl.errors import InputError
from jaxdl.train import train_step
from jaxdl.train.variant import Variant, replace
from jaxdl.workdir import read_json

pytestmark = pytest.mark.engine
SHAPE = (8, 8, 1)
VARIANT = Variant(width=2, depth=1)


@pytest.fixture(scope='module')
def arrays():
    """Variables of the network by path, none of them at its default."""
    module = train_step.module_of(VARIANT, 10)
    state = train_step.init_state(VARIANT, 5, module, SHAPE)
    flat = traverse_util.flatten_dict(train_step.variables_of(state), sep='/')
    return {name: np.asarray(value) + 0.25 for name, value in flat.items()}


def initial(source, variant=VARIANT, seed=1000, classes=10):
    started = replace(variant, dict(init_from=str(source)))
    module = train_step.module_of(started, classes)
    state = train_step.init_state(started, seed, module, SHAPE)
    return traverse_util.flatten_dict(train_step.variables_of(state), sep='/')


@pytest.mark.parametrize('form', ['paths', 'dots', 'without collections'])
@pytest.mark.parametrize('suffix', ['npz', 'safetensors'])
def test_networks_of_all_seeds_begin_with_the_file(tmp_path, arrays, form, suffix):
    rename = {
        'paths': lambda name: name,
        'dots': lambda name: name.replace('/', '.'),
        'without collections': lambda name: name.partition('/')[2],
    }[form]
    path, content = tmp_path / f'weights.{suffix}', {rename(k): v for k, v in arrays.items()}
    if suffix == 'npz':
        np.savez(path, **content)
    else:
        safetensors.save_file(content, path)
    for seed in (0, 1000):
        values = initial(path, seed=seed)
        assert values.keys() == arrays.keys()
        for name, value in values.items():
            np.testing.assert_array_equal(value, arrays[name])


def test_weights_that_do_not_fit_are_refused(tmp_path, arrays):
    names = list(arrays)
    for change, words in [
        ({names[0]: None}, 'it lacks '),
        ({'params/other/kernel': np.ones(2, np.float32)}, 'the network lacks params/other/kernel'),
        ({names[0]: np.ones((7, 7), np.float32)}, r'has \[7, 7\], must be \['),
        ({names[0]: arrays[names[0]] * np.nan}, 'not finite'),
    ]:
        content = {k: v for k, v in (arrays | change).items() if v is not None}
        np.savez(tmp_path / 'changed.npz', **content)
        with pytest.raises(InputError, match=f'changed.npz: does not fit the network: .*{words}'):
            initial(tmp_path / 'changed.npz')
    np.savez(tmp_path / 'all.npz', **arrays)
    with pytest.raises(InputError, match=r'head/bias has \[10\], must be \[3\]'):
        initial(tmp_path / 'all.npz', classes=3)
    for source, words in [('none.npz', 'no such file'), (__file__, 'must be a .safetensors')]:
        with pytest.raises(InputError, match=words):
            initial(source)
    (tmp_path / 'broken.npz').write_bytes(b'PK\x03\x04')
    with pytest.raises(InputError, match='damaged or cut short'):
        initial(tmp_path / 'broken.npz')
    with pytest.raises(InputError, match='leave out init and init_scale'):
        initial('all.npz', variant=VARIANT.replace(init='zeros'))


def test_a_study_begins_with_a_kept_network_of_another(tmp_path):
    first = jaxdl.override(
        studies.small(), dict(keep_networks=True, epochs=1, learning_rates=[0.1])
    )
    jaxdl.run(first, tmp_path / 'first')
    source = f'{tmp_path}/first:avg:1001'
    options = {'new': dict(pooling='avg'), 'trained': dict(pooling='avg', init_from=source)}
    study = check(
        dataclasses.replace(first, options=options, baseline='new', learning_rates=(1e-12,))
    )
    jaxdl.run(study, tmp_path / 'second')
    kept = jaxdl.load_member(tmp_path / 'first', 'avg', 1001).variables['params']
    for seed in (1000, 1001):
        trained, new = (
            jaxdl.load_member(tmp_path / 'second', option, seed).variables['params']
            for option in ('trained', 'new')
        )
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), trained, kept)
        assert not np.allclose(new['head']['kernel'], kept['head']['kernel'])
    plan = read_json(tmp_path / 'second' / 'plan.json')
    assert list(plan['initial_weights']) == [source]
    assert len(plan['initial_weights'][source]) == 64
    text = (tmp_path / 'second' / 'report.md').read_text(encoding='utf-8')
    assert plan['initial_weights'][source][:12] in text
    assert 'which are equal for all seeds' in text
    jaxdl.run(study, tmp_path / 'second')  # finished: nothing happens
    index = tmp_path / 'first' / 'artifacts' / 'networks'
    for file in index.glob('*.npz'):
        file.write_bytes((index / '0.npz').read_bytes())
    with pytest.raises(InputError, match=r'init_from=.* has changed since the run began'):
        jaxdl.run(study, tmp_path / 'second')


def test_a_low_first_loss_of_trained_weights_is_no_finding():
    results = [dict(loss=0.1, spread=5.0)]
    assert ranges.check_first_loss(VARIANT, 10, results).verdict == ranges.FAILS
    trained = VARIANT.replace(init_from='weights.npz')
    assert ranges.check_first_loss(trained, 10, results).verdict == ranges.OK
    assert (
        ranges.check_first_loss(trained, 10, [dict(loss=np.inf, spread=1.0)]).verdict != ranges.OK
    )


def test_options_name_the_network_that_does_not_fit(tmp_path, arrays):
    np.savez(tmp_path / 'weights.npz', **arrays)
    options = {'a': {}, 'wide': dict(width=3, init_from=str(tmp_path / 'weights.npz'))}
    study = check(dataclasses.replace(studies.small(), options=options, baseline='a'))
    with pytest.raises(InputError, match=r"option 'wide': init_from=.*does not fit the network"):
        planning.make_plan(study)
    options['wide'] = dict(width=3, init_from=f'{tmp_path}:avg:1000')
    with pytest.raises(InputError, match=r"option 'wide': .*no such file or stored network"):
        planning.make_plan(dataclasses.replace(study, options=options))
