"""Generate tables of the site from the code.

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

from jaxdl.cli import flags as command_flags
from jaxdl.cli import modes as command_modes

MARK = re.compile(r'^<!-- (fields|options|flags|modes|exits)(?: ([\w.]+))? -->$', re.MULTILINE)
PARTS = {
    'leaf': 'same program',
    'initial': 'same program, another initial value',
    'static': 'another program',
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace every mark on a page by its table."""
    return MARK.sub(lambda match: TABLES[match[1]](match[2]), markdown)


def fields(name: str) -> str:
    """Table of the fields of a dataclass: default, rule and description."""
    kind = _object(name)
    descriptions = _arguments(kind) | _comments(kind)
    traced = '_flax_dataclass' in vars(kind)  # a flax dataclass: Variant
    rows = [
        [
            f'`{f.name}`',
            _default(f),
            _rule(f, kind),
            *([PARTS[_part(f)]] if traced else []),
            descriptions.get(f.name, ''),
        ]
        for f in dataclasses.fields(kind)
    ]
    return _table(
        ['Field', 'Default', 'Must be', *(['Another value is'] if traced else []), 'Meaning'], rows
    )


def options(name: str) -> str:
    """Table of the options: name, and comment, docstring or expression."""
    table, written = _object(name), _written(name)
    rows = [
        [f'`{row}`', _meaning(value, *written.get(row, ('', '')))] for row, value in table.items()
    ]
    return _table(['Name', 'Meaning'], rows)


def flags(_: None) -> str:
    """Table of the flags of the command line with their help."""
    rows = [(name, flag.metadata['meaning']) for name, flag in command_flags.FLAGS.items()]
    return _table(['Flag', 'Meaning'], [[f'`--{name}`', _plain(meaning)] for name, meaning in rows])


def modes(_: None) -> str:
    """Table of the modes with the first lines of their docstrings."""
    return _table(
        ['Mode', 'Does'],
        [[f'`{name}`', _first(mode)] for name, mode in command_modes.MODES.items()],
    )


def exits(_: None) -> str:
    """Table of the exit statuses."""
    return _table(
        ['Status', 'When'], [[status, _plain(when)] for status, when in command_flags.EXITS.items()]
    )


TABLES: dict[str, Callable[[Any], str]] = dict(
    fields=fields, options=options, flags=flags, modes=modes, exits=exits
)


def _object(name: str) -> Any:
    module, _, attribute = name.rpartition('.')
    return getattr(importlib.import_module(module), attribute)


def _table(columns: list[str], rows: Iterable[list[str]]) -> str:
    """Markdown table without empty columns."""
    rows = list(rows)
    indices = [i for i in range(len(columns)) if any(row[i] for row in rows)]
    lines = [columns, ['---'] * len(columns), *rows]
    return '\n'.join(f'| {" | ".join(cells[i] for i in indices)} |' for cells in lines)


def _plain(text: str) -> str:
    """Text of a cell; only code stays Markdown."""
    parts = re.split('(`[^`]*`)', ' '.join(text.split()).replace('|', '\\|'))
    parts[::2] = [re.sub(r'([*_<])', r'\\\1', part) for part in parts[::2]]
    return ''.join(parts)


def _code(text: str) -> str:
    return f'`{" ".join(text.split())}`'.replace('|', '\\|')


def _first(documented: Any) -> str:
    return _plain((inspect.getdoc(documented) or '').split('\n\n')[0])


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
    """Requirement of a field: the words with which its rule refuses an impossible value."""
    rule, annotation = field.metadata.get('rule'), field.type
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
    """Field -> the comment at the end of its line, or above it."""
    comments: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        above = ''
        for line in inspect.getsource(base).splitlines():
            comment = re.match(r'\s+# (.+)$', line)
            field = re.match(r'\s+(\w+): [^#]*(?:#\s*(.+))?$', line)
            if field and (field[2] or above):
                comments[field[1]] = _plain(field[2] or above)
            above = f'{above} {comment[1]}'.strip() if comment else ''
    return comments


def _arguments(kind: type) -> dict[str, str]:
    """Field -> its description in the docstring, under Args."""
    text = (inspect.getdoc(kind) or '').partition('Args:\n')[2]
    return {
        match[1]: _plain(match[2])
        for match in re.finditer(r'^  (\w+): ((?:.|\n   )+)', text, re.MULTILINE)
    }


def _written(name: str) -> dict[str, tuple[str, str]]:
    """Row of a table -> the source of its value and the comment at the end of its line.

    Raises:
      LookupError: the module does not define the table.
    """
    module, _, attribute = name.rpartition('.')
    source = inspect.getsource(importlib.import_module(module))
    tables = [
        node.value
        for node in ast.parse(source).body
        if isinstance(node, ast.AnnAssign) and _is(node, attribute)
    ]
    if not tables:
        raise LookupError(f'{name}: {module} does not define {attribute}')
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
        return ', '.join(_code(f'{key}={item}') for key, item in value.items())
    function = getattr(value, 'loss', value)
    if (
        getattr(function, '__name__', '<lambda>') != '<lambda>'
        and function.__module__.startswith('jaxdl')
        and function.__doc__
    ):
        return _first(function)
    if dataclasses.is_dataclass(value):
        return ', '.join(
            _code(f'{f.name}={item}')
            for f in dataclasses.fields(value)
            if (item := _unusual(value, f))
        )
    expression = re.sub(r"^\(?\s*lambda [^:]*: |,\s*'[.\w]*',?\s*\)$", '', expression) or repr(
        value
    )
    called = re.fullmatch(r'(\w+)\([\w, ]*\)', expression)
    helper = getattr(value, '__globals__', {}).get(called[1]) if called else None
    return _first(helper) if getattr(helper, '__doc__', None) else _code(expression)


def _unusual(value: Any, field: dataclasses.Field[Any]) -> Any:
    """Value of a field, or None if it is the default, the name or another record."""
    item = getattr(value, field.name)
    return (
        None
        if item == field.default or field.name == 'name' or dataclasses.is_dataclass(item)
        else item
    )
