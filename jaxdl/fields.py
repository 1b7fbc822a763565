"""Rules on the fields of a configuration, next to the declaration of each field.

A rule takes a value and returns None, or the words of what would be right. `convert` fits a value
from the command line, a file or Python to the field's annotation, so that every way in ends in the
same checks.
"""

import contextlib
import dataclasses
import math
import re
import types
import typing
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

from jaxdl.errors import UNSEEN, InputError, nearest

WHOLE = 2**53  # the largest whole number that every reader of JSON keeps
Rule = Callable[[Any], str | None]


def ruled(default: Any, rule: Rule | None = None, **options: Any) -> Any:
    """A dataclass field with a default and a rule."""
    return dataclasses.field(default=default, metadata=dict(rule=rule), **options)


def at_least(low: float) -> Rule:
    """A finite number, `low` or more.

    Examples:
      >>> at_least(1)(0)
      'must be a number of at least 1'
    """
    return lambda value: None if low <= value < math.inf else f'must be a number of at least {low}'


def above(low: float) -> Rule:
    """A finite number larger than `low`."""
    return lambda value: None if low < value < math.inf else f'must be a finite number above {low}'


def within(low: float, high: float) -> Rule:
    """A number in [low, high).

    Examples:
      >>> within(0, 1)(1), within(0, 1)(0.5)
      ('must be at least 0 and below 1', None)
    """
    return lambda value: None if low <= value < high else f'must be at least {low} and below {high}'


def between(low: float, high: float) -> Rule:
    """A number in [low, high]."""
    return lambda value: None if low <= value <= high else f'must be from {low} to {high}'


def prime(least: int, most: int = 1000) -> Rule:
    """A prime number, `least` or more, below `most`."""
    words = f'must be a prime number of at least {least}, below {most}'
    primes = [i for i in range(2, most) if all(i % j for j in range(2, math.isqrt(i) + 1))]
    return lambda value: None if value >= least and value in primes else words


def one_of(table: Container[str] | Iterable[str]) -> Rule:
    """A name in `table`, which may still grow after the field is declared.

    Examples:
      >>> one_of(['max', 'avg'])('mex')
      'did you mean max?'
    """
    return lambda value: (
        None if value in table else nearest(str(value), typing.cast(Iterable[str], table))
    )


def finite(value: Any) -> str | None:
    """Rule: a number is finite; anything else passes."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return 'must be a finite number' if number and not math.isfinite(value) else None


def file_name(value: str) -> str | None:
    """A name for a file: letters, digits, `-`, `_` and `.`, not first; or nothing."""
    return None if re.fullmatch(r'(\w[\w.-]*)?', value) else 'must be letters, digits, - and _ only'


def path_part(value: str) -> str | None:
    """Check that a name is one part of a path, which leads to no other folder, or empty."""
    plain = (
        value not in ('.', '..') and len(value) <= 100 and not re.search(rf'[/\\{UNSEEN}]', value)
    )
    return (
        None
        if plain
        else 'must be the name of a folder: at most 100 characters, no / and no \\ among them'
    )


def each(rule: Rule, least: int = 1) -> Rule:
    """A list of `least` or more different values that all keep `rule`.

    Examples:
      >>> each(above(0))((0.1, -1.0))
      'must be a finite number above 0'
    """

    def holds(values: tuple[Any, ...]) -> str | None:
        if len(values) < least or len(set(values)) < len(values):
            return f'must be a list of at least {least}, all different'
        return next((words for words in map(rule, values) if words), None)

    return holds


def one_or_each(rule: Rule, *, different: bool = False) -> Rule:
    """A value, or a list of at least one, that keeps `rule`; all different if `different`.

    Examples:
      >>> one_or_each(above(0))(1.0), one_or_each(above(0))((1.0, 1.0, -1.0))
      (None, 'must be a finite number above 0')
    """

    def holds(value: Any) -> str | None:
        if not isinstance(value, tuple):
            return rule(value)
        if different or not value:
            return each(rule)(value)
        return next((words for words in map(rule, value) if words), None)

    return holds


def check(name: str, field: dataclasses.Field[Any], annotation: Any, value: Any) -> Any:
    """Convert a value to the annotation of its field, and apply the field's rule.

    Raises:
      InputError: the value cannot be converted, or breaks the rule.
    """
    try:
        value = convert(annotation, value)
    except (TypeError, OverflowError):
        raise InputError(f'{name}={value!r}: must be {_words(annotation)}') from None
    rule = field.metadata.get('rule')
    complaint = rule(value) if rule and value is not None else None
    if complaint:
        raise InputError(f'{name}={value!r}: {complaint}')
    return value


def convert(annotation: Any, value: Any) -> Any:
    """Convert `value` to an annotation.

    The annotation is int, float, str, bool, tuple[X, ...], a Mapping, or a union of these and None.

    Raises:
      TypeError: it cannot be one.

    Examples:
      >>> convert(tuple[float, ...], [1, 2]), convert(int | None, 3.0)
      ((1.0, 2.0), 3)
      >>> convert(int | tuple[int, ...], 2), convert(int | tuple[int, ...], [1, 2])
      (2, (1, 2))
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        return _convert_to_any(arguments, value)
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(convert(arguments[0], v) for v in value)
    if origin is not None and isinstance(value, Mapping) and issubclass(origin, Mapping):
        return dict(value)
    if annotation is bool and isinstance(value, bool):
        return value
    if (
        annotation in (int, float)
        and isinstance(value, (int, float))
        and not isinstance(value, bool)
    ):
        if annotation is int and (
            value != math.floor(value if math.isfinite(value) else 0.5) or abs(value) > WHOLE
        ):
            raise TypeError
        return annotation(value)
    if (
        isinstance(annotation, type)
        and isinstance(value, annotation)
        and not isinstance(value, bool)
    ):
        return value
    raise TypeError


def _convert_to_any(annotations: Iterable[Any], value: Any) -> Any:
    """Convert `value` to the first annotation that it fits; TypeError without one."""
    for annotation in annotations:
        with contextlib.suppress(TypeError):
            return convert(annotation, value)
    raise TypeError


def _words(annotation: Any) -> str:
    if isinstance(annotation, types.UnionType):
        return ' or '.join(map(_words, typing.get_args(annotation)))
    if typing.get_origin(annotation) is tuple:
        if typing.get_origin(typing.get_args(annotation)[0]) is tuple:
            return 'a list of lists, such as [[...]]'
        kind = typing.get_args(annotation)[0]
        example = {int: '[1, 2]', float: '[0.1, 0.2]', str: '["a", "b"]'}.get(kind, '[...]')
        return f'a list of {_words(kind).split(" ", 1)[-1]}s, such as {example}'
    if typing.get_origin(annotation) is Mapping:
        return 'an object of names and values'
    names = {
        int: 'a whole number',
        float: 'a number',
        str: 'a word',
        bool: 'true or false',
        type(None): 'null',
    }
    return names.get(annotation, f'a {getattr(annotation, "__name__", annotation)}')
