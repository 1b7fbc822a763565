"""Tables of the site that are made of the code itself, and so cannot go stale.

A line `<!-- fields jaxdl.train.variant.Variant -->` on a page stands for the fields of that
dataclass, `<!-- options jaxdl.models.pooling.POOLINGS -->` for the rows of that table, `<!-- flags
-->`, `<!-- modes -->` and `<!-- exits -->` for those of the command line.
"""

import ast
import contextlib
import dataclasses
import importlib
import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jaxdl import main
from jaxdl.cli import usage

MARK = re.compile(r'^<!-- (fields|options|flags|modes|exits)(?: ([\w.]+))? -->$', re.MULTILINE)
PARTS = {
    'leaf': 'same program',
    'initial': 'same program, another start',
    'static': 'another program',
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with every mark replaced by its table."""
    return MARK.sub(lambda found: MADE[found[1]](found[2]), markdown)


def fields(name: str) -> str:
    """Each field of a dataclass: its default, what its rule asks for.

    And what is said of it where it is declared.
    """
    kind = _object(name)
    said = _arguments(kind) | _comments(kind)
    own = hasattr(kind, 'replace')  # of flax: the fields of a Variant are traced or not
    rows = [
        [
            f'`{f.name}`',
            _default(f),
            _rule(f, kind),
            *([PARTS[_part(f)]] if own else []),
            said.get(f.name, ''),
        ]
        for f in dataclasses.fields(kind)
    ]
    return _table(
        ['Field', 'Default', 'Must be', *(['Another value is'] if own else []), 'What'], rows
    )


def options(name: str) -> str:
    """Each row of a table: its name, and its comment or the first line of its docstring.

    Else the expression it is.
    """
    table, written = _object(name), _written(name)
    rows = [
        [f'`{row}`', _meaning(value, *written.get(row, ('', '')))] for row, value in table.items()
    ]
    return _table(['Name', 'What'], rows)


def flags(_: None) -> str:
    """Each flag of the command line, with its help."""
    own = [(name, main.FLAGS[name]) for name in main.FLAGS if len(name) > 1]
    return _table(['Flag', 'What'], [[f'`--{name}`', _plain(str(flag.help))] for name, flag in own])


def modes(_: None) -> str:
    """Each mode, with the first line of its function's docstring."""
    return _table(
        ['Mode', 'Does'], [[f'`{name}`', _first(mode)] for name, mode in main.MODES.items()]
    )


def exits(_: None) -> str:
    """Each exit status, and when there is it."""
    return _table(
        ['Status', 'When'], [[status, _plain(when)] for status, when in usage.EXITS.items()]
    )


MADE: dict[str, Callable[[Any], str]] = dict(
    fields=fields, options=options, flags=flags, modes=modes, exits=exits
)


def _object(name: str) -> Any:
    module, _, own = name.rpartition('.')
    return getattr(importlib.import_module(module), own)


def _table(columns: list[str], rows: Iterable[list[str]]) -> str:
    """In Markdown, without the columns that are empty."""
    rows = list(rows)
    kept = [i for i in range(len(columns)) if any(row[i] for row in rows)]
    lines = [columns, ['---'] * len(columns), *rows]
    return '\n'.join(f'| {" | ".join(cells[i] for i in kept)} |' for cells in lines)


def _plain(text: str) -> str:
    """Text for a cell, with nothing in it that is Markdown but code."""
    parts = re.split('(`[^`]*`)', ' '.join(text.split()).replace('|', '\\|'))
    parts[::2] = [re.sub(r'([*_<])', r'\\\1', part) for part in parts[::2]]
    return ''.join(parts)


def _code(text: str) -> str:
    return f'`{" ".join(text.split())}`'.replace('|', '\\|')


def _first(found: Any) -> str:
    return _plain((inspect.getdoc(found) or '').split('\n\n')[0])


def _part(field: dataclasses.Field[Any]) -> str:
    if field.metadata.get('initial'):
        return 'initial'
    return 'leaf' if field.metadata.get('pytree_node', True) else 'static'


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return _code(repr(field.default_factory()))
    if field.default is dataclasses.MISSING:
        return ''
    value = field.default
    return _code(f'{type(value).__name__}()' if dataclasses.is_dataclass(value) else repr(value))


def _rule(field: dataclasses.Field[Any], kind: type) -> str:
    """The words with which the rule refuses what nothing accepts: they say what would be right."""
    rule, annotation = field.metadata.get('rule'), kind.__annotations__[field.name]
    if rule is None:
        return 'true or false' if annotation is bool else ''
    several = 'each' in rule.__qualname__
    for wrong in (('/',), (math.nan,), ()) if several else ('/', math.nan, ()):
        with contextlib.suppress(TypeError):
            if words := rule(wrong):
                words = re.sub(
                    r'^one of , ', 'empty, or one of ', re.sub('^known: ', 'one of ', words)
                )
                words = words.removeprefix('must be ')
                if annotation in (int, int | None):
                    words = words.replace('a number', 'a whole number')
                return _plain(f'each {words}' if wrong and several else words)
    return ''


def _comments(kind: type) -> dict[str, str]:
    """Field -> the comment that ends its line."""
    found = (
        re.match(r'\s+(\w+): [^#]*#\s*(.+)$', line) for line in inspect.getsource(kind).splitlines()
    )
    return {match[1]: _plain(match[2]) for match in found if match}


def _arguments(kind: type) -> dict[str, str]:
    """Field -> what the docstring says of it, under Args."""
    text = (inspect.getdoc(kind) or '').partition('Args:\n')[2]
    return {
        match[1]: _plain(match[2])
        for match in re.finditer(r'^  (\w+): ((?:.|\n   )+)', text, re.MULTILINE)
    }


def _written(name: str) -> dict[str, tuple[str, str]]:
    """Row of a table -> the expression of its value, as it is written.

    And the comment that ends its line.
    """
    module, _, own = name.rpartition('.')
    source = inspect.getsource(importlib.import_module(module))
    tables = (
        node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.AnnAssign) and _is(node, own)
    )
    rows = (
        pair
        for table in tables
        if isinstance(table, ast.Dict)
        for pair in zip(table.keys, table.values, strict=True)
    )
    lines = source.splitlines()
    return {
        str(key.value): (
            ast.get_source_segment(source, row) or '',
            _comment(lines[(row.end_lineno or 1) - 1]),
        )
        for key, row in rows
        if isinstance(key, ast.Constant)
    }


def _is(node: ast.AnnAssign, name: str) -> bool:
    return isinstance(node.target, ast.Name) and node.target.id == name


def _comment(line: str) -> str:
    return line.partition(',  # ')[2]


def _meaning(value: Any, expression: str, comment: str) -> str:
    if comment or hasattr(value, 'meaning'):
        return _plain(comment or value.meaning)
    if isinstance(value, Mapping):
        return ', '.join(_code(f'{key}={own}') for key, own in value.items())
    own = getattr(value, 'loss', value)
    if (
        getattr(own, '__name__', '<lambda>') != '<lambda>'
        and own.__module__.startswith('jaxdl')
        and own.__doc__
    ):
        return _first(own)
    if dataclasses.is_dataclass(value):
        return ', '.join(
            _code(f'{f.name}={own}')
            for f in dataclasses.fields(value)
            if (own := _unusual(value, f))
        )
    expression = re.sub(r"^\(?lambda [^:]*: |, '[.\w]*'\)$", '', expression) or repr(value)
    called = re.fullmatch(r'(\w+)\([\w, ]*\)', expression)
    helper = getattr(value, '__globals__', {}).get(called[1]) if called else None
    return _first(helper) if getattr(helper, '__doc__', None) else _code(expression)


def _unusual(value: Any, field: dataclasses.Field[Any]) -> Any:
    """What a record has in a field, where that is not the field's default.

    Its name or a record again.
    """
    own = getattr(value, field.name)
    return (
        None
        if own == field.default or field.name == 'name' or dataclasses.is_dataclass(own)
        else own
    )
