"""Write the generated parts of the pages from the code.

    python docs/site/reference.py            rewrites docs/**/*.md
    python docs/site/reference.py --check    fails if a page is not up to date

A line `<!-- KIND NAME -->` begins a generated part, and `<!-- end -->` ends it. A mark without an
end is a new one. Kinds:

- `api jaxdl.data.load`: heading, signature and docstring of a function or class
- `members jaxdl.data.Dataset`: the same of the public functions of a class or module
- `text jaxdl.data`: the docstring alone
- `record jaxdl.Data`: heading, description, and the table of the fields of a dataclass
- `fields jaxdl.Data`: that table alone
- `options jaxdl.models.pooling.POOLINGS`: the rows of a table of options
- `flags`, `modes`, `exits`: the command line
"""

import ast
import contextlib
import dataclasses
import importlib
import inspect
import math
import pathlib
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jaxdl.cli import flags as command_flags
from jaxdl.cli import modes as command_modes

PAGES = pathlib.Path(__file__).parents[1]
MARK = re.compile(
    r'^(<!-- (api|members|text|record|fields|options|flags|modes|exits)(?: ([\w.]+))? -->\n)'
    r'(?:(?:(?!<!-- ).*\n)*<!-- end -->\n)?',
    re.MULTILINE,
)
PARTS = {
    'leaf': 'same program',
    'initial': 'same program, another initial value',
    'static': 'another program',
}
SECTION = re.compile(r'^(Args|Attributes|Returns|Yields|Raises|Examples|Example):\n', re.MULTILINE)
ENTRY = re.compile(r'^  ([\w*, .]+): ((?:.*\n?)(?:(?:    .*)?\n|    .*)*)', re.MULTILINE)
COLUMNS = 100
BRACKETS = ('()', '[]', '{}')


def render(page: str) -> str:
    """Text of a page with every generated part as the code is now."""
    return MARK.sub(lambda mark: f'{mark[1]}\n{KINDS[mark[2]](mark[3])}\n\n<!-- end -->\n', page)


def api(name: str) -> str:
    """Heading, signature and docstring of a function or a class."""
    documented = _object(name)
    blocks = _heading(name), _signature(name, documented), _docstring(documented)
    return '\n\n'.join(block for block in blocks if block)


def members(name: str) -> str:
    """`api` of the public functions and classes that a module or class defines."""
    owner = _object(name)
    home = owner.__name__ if inspect.ismodule(owner) else owner.__module__
    names = [
        key
        for key, value in vars(owner).items()
        if not key.startswith('_')
        and (inspect.isroutine(value) or inspect.isclass(value) or isinstance(value, property))
        and getattr(_plain_function(value), '__module__', home) == home
        and inspect.getdoc(value)
    ]
    return '\n\n'.join(api(f'{name}.{key}') for key in names)


def text(name: str) -> str:
    """The docstring of a module."""
    return f'{_anchor(name)}\n\n{_docstring(_object(name))}'


def record(name: str) -> str:
    """Heading, description and fields of a dataclass."""
    kind = _object(name)
    description = _docstring(kind, without=('Args', 'Attributes'))
    return f'{_heading(name)}\n\n{description}\n\n{fields(name)}'


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


KINDS: dict[str, Callable[[Any], str]] = dict(
    api=api,
    members=members,
    text=text,
    record=record,
    fields=fields,
    options=options,
    flags=flags,
    modes=modes,
    exits=exits,
)


def _object(name: str) -> Any:
    """The module, class, function or table of a dotted name."""
    parts = name.split('.')
    for count in range(len(parts), 0, -1):
        with contextlib.suppress(ModuleNotFoundError):
            found = importlib.import_module('.'.join(parts[:count]))
            for part in parts[count:]:
                found = getattr(found, part)
            return found
    raise LookupError(name)


def _anchor(name: str) -> str:
    return f'<a id="{name}"></a>'


def _heading(name: str) -> str:
    return f'{_anchor(name)}\n\n### `{name}`'


def _signature(name: str, documented: Any) -> str:
    """The call as it is written in the source, in a block of code; empty for an exception."""
    function = _plain_function(documented)
    if inspect.isclass(function) and (
        dataclasses.is_dataclass(function) or issubclass(function, Exception)
    ):
        return ''
    if inspect.isclass(function):
        function = function.__init__
    if not inspect.isfunction(function):
        return ''
    source = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(source, ast.FunctionDef)
    arguments = _arguments_of(source.args)
    returns = f' -> {ast.unparse(source.returns)}' if source.returns else ''
    call = name.removesuffix('.__init__')
    if isinstance(documented, property):
        return f'```py\n{call}{returns}\n```'
    line = f'{call}({", ".join(arguments)}){returns}'
    if inspect.isclass(documented):
        line = line.removesuffix(' -> None')
    if len(line) > COLUMNS:
        rows = ''.join(f'    {argument},\n' for argument in arguments)
        line = f'{call}(\n{rows}){returns}'
    return f'```py\n{line}\n```'


def _arguments_of(source: ast.arguments) -> list[str]:
    """Arguments as in the source, without self."""
    written: list[str] = []
    for part in ast.unparse(source).split(', '):
        # A comma within brackets does not separate arguments.
        if written and any(
            written[-1].count(one) > written[-1].count(two) for one, two in BRACKETS
        ):
            written[-1] += f', {part}'
        else:
            written.append(part)
    spaced = (re.sub(r'^(\w+: [^=]+)=', r'\1 = ', argument) for argument in written)
    return [argument for argument in spaced if argument not in ('', 'self', 'cls')]


def _plain_function(documented: Any) -> Any:
    """The function below a property, a static or class method, or a decorator."""
    if isinstance(documented, property):
        return documented.fget
    return inspect.unwrap(getattr(documented, '__func__', documented))


def _docstring(documented: Any, without: Iterable[str] = ()) -> str:
    """A docstring as Markdown: sections as lists, examples as code."""
    parts = SECTION.split(inspect.getdoc(documented) or '')
    blocks = [_paragraphs(parts[0])]
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        if title in without:
            continue
        if title.startswith('Example'):
            blocks.append(f'```pycon\n{textwrap.dedent(body).strip()}\n```')
        elif title in ('Returns', 'Yields'):
            blocks.append(f'**{title}**\n\n{_paragraphs(textwrap.dedent(body))}')
        else:
            items = [
                textwrap.fill(
                    f'- `{entry[1]}`: {" ".join(entry[2].split())}',
                    COLUMNS,
                    subsequent_indent='  ',
                    break_long_words=False,
                    break_on_hyphens=False,
                )
                for entry in ENTRY.finditer(body)
            ]
            blocks.append(f'**{title}**\n\n' + '\n'.join(items))
    return '\n\n'.join(block for block in blocks if block)


def _paragraphs(written: str) -> str:
    """Text with its blocks of code and its lists as they are."""
    return '\n\n'.join(
        block if block.startswith(('    ', '- ', '|')) else block.strip('\n')
        for block in re.split(r'\n\s*\n', written.strip('\n'))
    )


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
    if field.default is dataclasses.MISSING or inspect.isfunction(field.default):
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
    """Field -> its description in the docstring, under Args or Attributes."""
    parts = SECTION.split(inspect.getdoc(kind) or '')
    return {
        entry[1]: _plain(entry[2])
        for title, body in zip(parts[1::2], parts[2::2], strict=True)
        if title in ('Args', 'Attributes')
        for entry in ENTRY.finditer(body)
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


def main() -> int:
    """Rewrite the pages, or with --check list those that are not up to date."""
    check, stale = '--check' in sys.argv[1:], []
    for path in sorted(PAGES.rglob('*.md')):
        page = path.read_text(encoding='utf-8')
        if (rendered := render(page)) != page:
            stale.append(str(path.relative_to(PAGES)))
            if not check:
                path.write_text(rendered, encoding='utf-8')
    if check and stale:
        sys.stdout.write(f'not up to date: {", ".join(stale)}: run python docs/site/reference.py\n')
    return int(check and bool(stale))


if __name__ == '__main__':
    sys.exit(main())
