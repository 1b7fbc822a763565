"""Names and code set apart from the text around them, and the whole escaped for the page that it stands on.

What comes from a study (an option's name, a class, a path) can hold anything; here it becomes text and nothing else.
"""

import re

from markupsafe import Markup, escape

_NAME, _CODE, _END = '\ue000\ue001\ue002'  # private use: `flat` takes them out of what is marked
_MARKED = re.compile(f'([{_NAME}{_CODE}])([^{_END}]*){_END}')


def name(text: object) -> str:
    """Marks a name that comes from the study (an option, a condition), to be set apart from the sentence around it."""
    return f'{_NAME}{flat(text)}{_END}'


def code(text: object) -> str:
    """Marks what is typed or read on a computer: a setting, a file."""
    return f'{_CODE}{flat(text)}{_END}'


def flat(text: object) -> str:
    """On one line, without control, surrogate or private-use characters."""
    return ' '.join(re.sub(r'[\x00-\x1f\x7f\ud800-\uf8ff]', ' ', str(text)).split())


def plain(text: str) -> str:
    """Without the marks, where no element can stand."""
    return re.sub(f'[{_NAME}{_CODE}{_END}]', '', text)


def html(text: object) -> Markup:
    """Escaped for HTML, marks as elements; what is Markup already stays."""
    if isinstance(text, Markup):
        return text
    tags = {_NAME: 'b', _CODE: 'code'}
    return Markup(_MARKED.sub(lambda mark: f'<{tags[mark[1]]}>{mark[2]}</{tags[mark[1]]}>', str(escape(str(text)))))


def markdown(text: object) -> str:
    """Escaped for (GitHub's) Markdown, also within a table; what is Markup already stays."""
    if isinstance(text, Markup):
        return str(text)
    text, written, end = str(text), '', 0
    for mark in _MARKED.finditer(text):
        inner = f'**{_escaped(mark[2])}**' if mark[1] == _NAME else _span(mark[2])
        written += _escaped(text[end : mark.start()]) + inner
        end = mark.end()
    return written + _escaped(text[end:])


def fence(text: str) -> str:
    """A fence that no line of `text` can close."""
    return '`' * max(3, 1 + _longest_run(text))


def _escaped(text: str) -> str:
    text = text.replace('\n', ' ').replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')
    return re.sub(r'([\\`*_\[\]|#~$])', r'\\\1', text)


def _span(text: str) -> str:
    """A span of code; a bar is escaped, since a table would end its cell there, code or not."""
    ticks, pad = '`' * (1 + _longest_run(text)), ' ' if '`' in text else ''
    return f'{ticks}{pad}{text}{pad}{ticks}'.replace('|', '\\|')


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall('`+', text)), default=0)
