"""Network, training and non-default settings of a study in words."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from jaxdl.report.page import markup, words

Settings = Mapping[str, Any]  # field -> value

NORMS = dict(none='no normalisation')
ACTIVATIONS = dict(relu='ReLU', leaky_relu='leaky ReLU', gelu='GELU', silu='SiLU')
POOLINGS = dict(avg='average', l2='L2', avgmax='mean of average and maximum', max='maximum')
INITS = dict(
    he_normal='He normal',
    glorot_normal='Glorot normal',
    glorot_uniform='Glorot uniform',
    lecun_normal='LeCun normal',
)
# Optimizer -> words with its settings.
OPTIMIZERS = dict(
    sgd='SGD without momentum',
    momentum='SGD with momentum {momentum:g}',
    nesterov='SGD with Nesterov momentum {momentum:g}',
    rmsprop='RMSProp (decay {beta2:g})',
    adagrad='Adagrad',
    adam='Adam (decays {momentum:g} and {beta2:g})',
    adamw='AdamW (decays {momentum:g} and {beta2:g})',
    lion='Lion (decays {momentum:g} and {beta2:g})',
    lamb='LAMB (decays {momentum:g} and {beta2:g})',
    muon='Muon with momentum {momentum:g}',
)
MOMENTS = ('momentum', 'beta2')
BRACES = str.maketrans({'{': '{{', '}': '}}'})  # of a name, for `str.format`
# Field -> words for a value that is not the default; other fields by their name.
NON_DEFAULT = dict(
    weight_decay='weight decay {}',
    dropout='dropout with probability {}',
    label_smoothing='label smoothing {}',
    rotation='rotation by up to {} degrees',
    translation='translation by up to {} of the side',
    colour='colour changes by up to {}',
    flip='horizontal flips with probability {}',
    mixup='mixup with alpha {}',
    cutmix='CutMix with probability {}',
    erasing='random erasing with probability {}',
    randaugment='RandAugment of strength {}',
    augmentation='the augmentation {}',
    ema='an exponential moving average of the weights with decay {}',
    clip='gradients clipped at norm {}',
    layer_decay='layer-wise learning-rate decay {}',
    crop_area='random crops of at least {} of the area',
    accumulation='each batch in {} accumulated parts',
    class_weights='class weights with exponent {}',
    logit_adjustment='logit adjustment with factor {}',
    init_scale='initial weights multiplied by {}',
    init_from='initial weights from {}',
    learning_rate_scale='learning rates multiplied by {}',
    classes='only the {} largest classes',
    subset='a subset of {} images',
    train_share='{} of the training images',
    fractions='shares {} of the three splits',
    split_seed='seed {} of the split',
    image_size='images of {} pixels per side',
    fit='images made square by {}',
    resample_split='a split of its own for each seed',
)
# Settings of the data that name a source or a file, or do not change the result.
SOURCE = ('dataset', 'images', 'image_column', 'label_column', 'on_bad_image', 'download')


def network(
    variant: Settings, varied: Collection[str], networks: Mapping[str, Collection[str]]
) -> tuple[str, set[str]]:
    """The network in words, without what the options or conditions vary.

    Args:
      variant: settings of a run.
      varied: names of the settings that differ between options or conditions.
      networks: registered network -> names of the settings that it takes.

    Returns:
      The words, and the names of the settings that they state.
    """
    model = variant.get('model', '')
    described = {'model', *(name for name in MODELS.get(model, ()) if name in variant)}
    if 'model' in varied:
        return 'set by each option (table below)', {'model'}
    if model not in MODELS:
        taken = [name for name in networks.get(model, ()) if name in variant]
        parts = [f'{_value(name)} {_value(variant[name])}' for name in taken if name not in varied]
        head = f'{markup.flat(model)}, which the study defines'
        text = f'{head}, with {words.listing(parts)}' if parts else head
        return text, {'model', *(name for names in MODELS.values() for name in names), *taken}
    parts = [
        text
        for name in MODELS[model]
        if name in variant and name not in varied and (text := _part(model, name, variant[name]))
    ]
    head = HEADS[model]
    return (f'{head} with {words.listing(parts)}' if parts else head), described - {*varied}


def training(variant: Settings, varied: Collection[str]) -> tuple[str, set[str]]:
    """Optimizer, batch size, schedule, loss and initial weights in words, as in `network`."""
    parts, described = [], set()
    optimizer = variant.get('optimizer', '')
    if optimizer and 'optimizer' not in varied and not {*MOMENTS} & {*varied}:
        moments = {name: variant.get(name, 0.0) for name in MOMENTS}
        template = OPTIMIZERS.get(optimizer, markup.flat(optimizer).translate(BRACES))
        parts.append(template.format(**moments))
        described |= {'optimizer', *(name for name in MOMENTS if f'{{{name}:' in template)}
    phrases = PHRASES
    if variant.get('init_from') and 'init_from' not in varied:
        parts.append(f'initial weights from {markup.code(variant["init_from"])}')
        described |= {'init', 'init_from'}
        phrases = {name: write for name, write in PHRASES.items() if name != 'init'}
    for name, write in phrases.items():
        if name in variant and name not in varied:
            parts.append(write(variant[name]))
            described.add(name)
    return words.listing(parts) if parts else 'the settings of the options', described


def non_default(
    settings: Settings, defaults: Settings, excluded: Collection[str] = ()
) -> list[str]:
    """Settings that differ from the defaults, in words.

    Args:
      settings: of the run.
      defaults: of this version of jaxdl.
      excluded: names of settings that are stated elsewhere.
    """
    return [
        NON_DEFAULT.get(name, f'{name.replace("_", " ")} {{}}').format(_value(value))
        for name, value in settings.items()
        if name in defaults and value != defaults[name] and name not in excluded
    ]


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return words.listing(map(_value, value)) if value else 'none'
    if isinstance(value, float):
        return f'{value:g}'
    return markup.flat(value).replace('_', ' ')


def _part(model: str, name: str, value: Any) -> str:
    """One setting of a network in words; empty if the network does not have this part."""
    if name == 'depth':
        return words.count(value, 'stage' if model == 'cnn' else 'hidden layer')
    if name == 'width':
        if model == 'cnn':
            return f'{value} channels in the first stage, doubled from stage to stage'
        return words.count(value, 'unit') + ' per layer'
    if name == 'convolutions':
        return f'{words.count(value, "convolution")} of 3 {words.TIMES} 3 pixels per stage'
    if name == 'hidden':
        return f'a dense layer of {words.count(value, "unit")}' if value else ''
    if name == 'skip':
        return f'{_value(value)} skip connections' if value != 'none' else ''
    if name == 'norm':
        return NORMS.get(value, f'{_value(value)} normalisation')
    if name == 'activation':
        return f'{ACTIVATIONS.get(value, _value(value))} activations'
    pooling = POOLINGS.get(value, _value(value))
    return f'{pooling} pooling' if name == 'pooling' else f'global {pooling} pooling'


# Setting of the training -> words of its value.
PHRASES: dict[str, Callable[[Any], str]] = dict(
    batch_size=lambda size: f'batch size {size}',
    schedule=lambda name: f'the {_value(name)} learning-rate schedule',
    loss=lambda name: f'the {_value(name).replace("cross entropy", "cross-entropy")} loss',
    init=lambda name: f'{INITS.get(name, _value(name))} initial weights',
)
# Model -> its settings in the order of the words.
MODELS = dict(
    cnn=(
        'depth',
        'convolutions',
        'width',
        'norm',
        'activation',
        'skip',
        'pooling',
        'global_pooling',
        'hidden',
    ),
    mlp=('depth', 'width', 'norm', 'activation', 'skip'),
    linear=(),
)
HEADS = dict(
    cnn='a convolutional network',
    mlp='a multilayer perceptron',
    linear='a linear classifier of the pixels',
)
