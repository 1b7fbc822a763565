"""Names of splits as people write them: `seg_train`, `TestSet`, `dev`, `PublicTest`."""

import re
from collections.abc import Iterable

# Word -> split. `eval` is the validation split where another name says `test`.
WORDS = dict(
    train='train',
    training='train',
    trn='train',
    trainval='train',
    val='val',
    valid='val',
    validation='val',
    dev='val',
    devel='val',
    development='val',
    test='test',
    testing='test',
    tst='test',
    holdout='test',
    eval='test',
    evaluation='test',
)
EVALUATION = ('eval', 'evaluation')
# Words around the name of a split that say nothing about it.
_KINDS = 'set|sets|data|dataset|split|part|folder|dir|image|images|img|imgs|pictures|photos'
AROUND = frozenset(_KINDS.split('|')) | {'seg', 'crop', 'crops', 'public', 'private', 'final'}
_WITH_KIND = re.compile(rf'({"|".join(WORDS)})({_KINDS})?')


def part_of(name: str) -> str:
    """The split that a name names: `train`, `val` or `test`; else empty.

    Examples:
      >>> part_of('seg_train'), part_of('TestSet'), part_of('dev'), part_of('test2017')
      ('train', 'test', 'val', 'test')
      >>> part_of('train_test'), part_of('training_wheel'), part_of('trainer')
      ('', 'train', '')
    """
    parts = {WORDS[word] for word in map(_word, _tokens(name)) if word}
    return parts.pop() if len(parts) == 1 else ''


def is_plain(name: str) -> bool:
    """Whether a name says nothing but its split.

    Examples:
      >>> is_plain('seg_train'), is_plain('training_wheel')
      (True, False)
    """
    tokens = _tokens(name)
    return bool(part_of(name)) and all(
        _word(token) or token in AROUND or token.isdigit() for token in tokens
    )


def assign_parts(names: Iterable[str]) -> dict[str, str]:
    """Split of each name that names one; `eval` is validation next to another name for test.

    Examples:
      >>> assign_parts(['train', 'eval', 'extra']), assign_parts(['train', 'eval', 'test'])
      ({'train': 'train', 'eval': 'test'}, {'train': 'train', 'eval': 'val', 'test': 'test'})
    """
    parts = {name: part_of(name) for name in names}
    evaluation = {
        name
        for name, part in parts.items()
        if part == 'test' and any(_word(token) in EVALUATION for token in _tokens(name))
    }
    others = {part for name, part in parts.items() if name not in evaluation}
    if 'test' in others and 'val' not in others:
        parts |= dict.fromkeys(evaluation, 'val')
    return {name: part for name, part in parts.items() if part}


def _tokens(name: str) -> list[str]:
    """Words of a name in lower case, apart at signs, at digits and at capitals."""
    words = re.findall(r'[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+', name)
    return [word.lower() for word in words]


def _word(token: str) -> str:
    """The key of WORDS that a token is, also with a kind behind it as in `trainset`."""
    match = _WITH_KIND.fullmatch(token)
    return match[1] if match else ''
