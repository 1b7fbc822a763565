"""README.md of an export: a model card in the form of the Hugging Face hub.

Mitchell et al. 2019, "Model cards for model reporting"; YAML metadata as of
https://huggingface.co/docs/hub/model-cards.
"""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

SPLITS = dict(val='validation', test='test')
UNKNOWN = 'unknown; ask the publisher of the weights before you distribute the network'
METRICS = dict(accuracy='accuracy', macro_f1='macro F1')
# A licence as SPDX writes it; the hub takes the same in lower case.
SPDX = re.compile(r'[A-Za-z0-9][A-Za-z0-9.+-]*')
ABSOLUTE = re.compile(r'(^|[\s:,=])/(?:[^\s/]+/)*([^\s/]+)')
LIMITS = (
    'The network always predicts one of its classes, also for an image of none of them.',
    'Its probabilities are calibrated for images like those evaluated.',
    'The score holds for images like those of the data, photographed and decoded alike.',
)


@dataclasses.dataclass(frozen=True)
class Score:
    """A score of held-out images.

    Attributes:
      name: of the metric.
      value: the score, 0 to 1.
      interval: its 95 % interval; None where there are too few groups of images.
    """

    name: str
    value: float
    interval: tuple[float, float] | None = None

    def __str__(self) -> str:
        if self.interval is None:
            return f'{self.name} {_percent(self.value)} %'
        low, high = map(_percent, self.interval)
        return f'{self.name} {_percent(self.value)} % (95 % interval {low} to {high} %)'


@dataclasses.dataclass(frozen=True)
class Card:
    """Facts of a model card.

    Attributes:
      title: of the network.
      library: that loads it, as the hub names libraries.
      licence: of the initial weights; empty where it is unknown, None where there are none.
      base_model: id of the initial weights on the hub; empty for others.
      dataset: name of the data; empty for none.
      scores: of held-out images.
      images: of the scores, in words: `363 validation images in 95 groups`.
      sections: heading -> text.
    """

    title: str
    library: str
    licence: str | None
    base_model: str
    dataset: str
    scores: Sequence[Score]
    images: str
    sections: Mapping[str, str]


def scores_of(stored: Mapping[str, Any]) -> list[Score]:
    """Scores of a checkpoint, with their intervals, from its metadata."""
    intervals = stored.get('intervals', {})
    return [
        Score(text, stored[name], tuple(intervals[name]) if intervals.get(name) else None)
        for name, text in METRICS.items()
        if stored.get(name) is not None
    ]


def images_of(stored: Mapping[str, Any]) -> str:
    """Number of images of the scores of a checkpoint, and of their groups."""
    split = SPLITS.get(stored.get('split', 'val'), 'held-out')
    groups = f' in {stored["groups"]:,} groups' if 'groups' in stored else ''
    return f'{stored["images"]:,} {split} images{groups}' if 'images' in stored else ''


def cut_paths(text: str) -> str:
    """Text with absolute paths cut to their last part, so that a card names no folders."""
    return ABSOLUTE.sub(r'\1\2', text)


def render(card: Card) -> str:
    """README.md: metadata, then a section per heading.

    Every value of the metadata is JSON, which is YAML too.
    """
    lines = [f'{name}: {json.dumps(v, ensure_ascii=False)}' for name, v in _metadata(card).items()]
    sections = [f'## {heading}\n\n{text.strip()}\n' for heading, text in card.sections.items()]
    return '\n'.join(['---', *lines, '---', '', f'# {card.title}', '', '\n'.join(sections)])


def describe_scores(card_scores: Sequence[Score], images: str) -> str:
    """Scores as a sentence; the way to measure one where there is none."""
    if not card_scores:
        return (
            'No score of held-out images is stored with this network. Measure one on labelled '
            'images:\n`python -m jaxdl.main --mode=evaluate --checkpoint=WORKDIR --dataset=SPEC`.'
        )
    text = f'{", ".join(map(str, card_scores))}, on {images or "held-out images"}.'
    text = text[0].upper() + text[1:]
    if any(score.interval for score in card_scores):
        text += (
            '\nThe intervals are for new groups of images, by a bootstrap over groups; a group is '
            'a burst or\nanother set of images that belong together. The variation between '
            'trainings is not included.'
        )
    else:
        text += '\nThere are too few groups of images for an interval.'
    return text


def _metadata(card: Card) -> dict[str, Any]:
    metadata: dict[str, Any] = dict(
        library_name=card.library, pipeline_tag='image-classification', tags=['jaxdl']
    )
    if card.licence is not None:
        metadata |= _licence(card.licence)
    if card.base_model:
        metadata |= dict(base_model=card.base_model)
    if not card.scores:
        return metadata
    metrics = [
        dict(
            type=score.name.lower().replace(' ', '_'),
            name=f'{score}, on {card.images}',
            value=round(score.value, 6),
        )
        for score in card.scores
    ]
    result = dict(
        task=dict(type='image-classification'),
        dataset=dict(name=card.dataset or 'unknown', type=card.dataset or 'unknown'),
        metrics=metrics,
    )
    index = [dict(name=card.title, results=[result])]
    return metadata | {'metrics': [metric['type'] for metric in metrics], 'model-index': index}


def _licence(licence: str) -> dict[str, str]:
    if not licence:
        return dict(license='unknown')
    if SPDX.fullmatch(licence):
        return dict(license=licence.lower())
    return dict(license='other', license_name=licence)


def _percent(share: float) -> str:
    return f'{100 * share:.1f}'
