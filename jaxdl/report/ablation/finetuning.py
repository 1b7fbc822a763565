"""Words of an ablation of a fine-tuning: its networks, probe, training, and fixed settings."""

from collections.abc import Mapping
from typing import Any

from jaxdl.report.ablation import settings_text
from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, words
from jaxdl.workdir.records import ModelPlan

METRICS = dict(macro_f1='macro F1', accuracy='accuracy', loss='loss')  # that choose an epoch
VIEWS = dict(
    none='the centre crop of each image',
    flip='each image and its mirror image',
    five_crops='five crops of each image',
    five_crops_flip='five crops of each image and their mirror images',
)
FIXED = (
    'Settings were fixed before the first run; nothing was tuned per option. The comparison holds '
    'at these settings.'
)
COSTS = (
    'Parameters: those that learn. FLOPs: forward pass at the size of the evaluation, as counted '
    'by XLA. Seconds per run: mean over the seeds of the training, with the probe that the option '
    'uses, without features, compilation and evaluation.'
)
ONE_POINT = 'A probe alone has one value, after its last pass over the features.'
TOGETHER = 'The runs trained one after another.'
SHARED = 'the order of the images, random crops, noise, and the probe that their heads begin with'
# Fields that sentences of `training` state.
STATED = (
    'crop_area',
    'epochs',
    'train_size',
    'sizes',
    'eval_size',
    'frozen',
    'views',
    'metric',
    'start',
)
NO_RESULT = ('explain', 'keep', 'remat')  # fields that do not change the result


def network(study: AblationRun, condition: str) -> str:
    """Sentences on the pretrained networks, their weights and their parameters."""
    models = (study.plan.models or {}).get(condition, {})
    texts = dict.fromkeys(
        f'{markup.flat(model.architecture)} with pretrained weights '
        f'({markup.flat(words.local(model.weights))}; {model.parameters:,} parameters without head)'
        for model in models.values()
    )
    return f'The network was {words.listing(texts)}.' if texts else ''


def chosen_by(study: AblationRun, condition: str) -> str:
    """The validation metric that chooses the epoch, in words."""
    metric: str = study.design(condition)['finetune']['metric']
    return METRICS.get(metric, markup.flat(metric))


def training(study: AblationRun, condition: str) -> str:
    """Sentences on the probe, the training and the evaluation, without what the options vary."""
    design, varied = study.design(condition), study.varied
    recipe, probe = design['finetune'], design['probe']
    models = (study.plan.models or {}).get(condition, {})
    sentences = [_probe(study, condition, probe), _epochs(recipe, design, varied, models)]
    different = [
        *_different(study, design, 'variant', _of_training(design['variant'], varied)),
        *_different(study, design, 'finetune', {*STATED, *NO_RESULT}),
    ]
    if different:
        sentences.append(f'Further settings: {words.listing(different)}.')
    if 'views' not in varied:
        sentences.append(
            f'Predictions are means over {VIEWS.get(recipe["views"], recipe["views"])}.'
        )
    return ' '.join(sentences)


def evaluated(study: AblationRun) -> str:
    """The network that is evaluated on the test split, in words."""
    metrics = dict.fromkeys(chosen_by(study, condition) for condition in study.conditions)
    best = words.listing(f'best validation {metric}' for metric in metrics)
    return f'the network of the epoch with the {best}'


def _probe(study: AblationRun, condition: str, probe: dict[str, Any]) -> str:
    cells = len(probe['learning_rates']) * len(probe['weight_decays'])
    size = probe['probe_size']
    images = f'images of {size} pixels per side' if size else 'images of the size of the weights'
    return (
        'For each seed a probe was fitted: linear heads on the features of the frozen network, '
        f'from {images}. Its learning rate and weight decay, of '
        f'{words.count(cells, "combination")}, and its logit adjustment have the best validation '
        f'{chosen_by(study, condition)}.'
    )


def _epochs(
    recipe: dict[str, Any],
    design: dict[str, Any],
    varied: set[str],
    models: Mapping[str, ModelPlan],
) -> str:
    """Epochs, optimiser, sizes, and layers that learn."""
    trained = {model.train_size for model in models.values()} - {0}
    evaluated = {model.eval_size for model in models.values() if model.train_size}
    settings, _ = settings_text.training(design['variant'], varied)
    parts = ['' if 'epochs' in varied else f'for {words.count(recipe["epochs"], "epoch")}']
    if 'learning_rate' not in varied:
        parts.append(f'at learning rate {design["variant"]["learning_rate"]:g}')
    parts.append(f'with {settings}')
    text = f'A network was then trained {" ".join(part for part in parts if part)}'
    if not {'train_size', 'sizes', 'crop_area'} & varied:
        sizes, area = (*recipe['sizes'], _either(trained)), recipe['crop_area']
        crops = f'random crops of at least {area:g} of the area' if area < 1 else 'images'
        text += f', on {crops}, {words.listing(map(str, sizes))} pixels per side'
    if 'eval_size' not in varied:
        text += f', and evaluated at {_either(evaluated)} pixels'
    if 'frozen' in varied:
        return f'{text}.'
    if not recipe['frozen']:
        return f'{text}. All layers learn unless the option says otherwise.'
    return f'{text}. Frozen: {words.listing(map(markup.flat, recipe["frozen"]))}.'


def _either(sizes: set[int]) -> str:
    """Sizes in pixels of networks, each of which has one of them."""
    return ' or '.join(map(str, sorted(sizes)))


def _of_training(variant: dict[str, Any], varied: set[str]) -> set[str]:
    return {*settings_text.training(variant, varied)[1], 'learning_rate'}


def _different(
    study: AblationRun, design: dict[str, Any], part: str, excluded: set[str]
) -> list[str]:
    """Settings of a part of the base that differ from the defaults, in words."""
    defaults = (study.plan.defaults or {}).get(part, {})
    return settings_text.non_default(design[part], defaults, excluded | study.varied)
