"""Names and code set apart from the text around them.

And the whole escaped for the page that it stands on.

What comes from a study (an option's name, a class, a path) can hold anything; here it becomes text
and nothing else.
"""

import re
from xml.etree import ElementTree

from latex2mathml import converter
from markupsafe import Markup, escape

from jaxdl.errors import UNSEEN

_NAME, _CODE, _MATH, _END = (
    '\ue000\ue001\ue003\ue002'  # private use: `flat` takes them out of what is marked
)
# What a formula may be made of; a text within it comes out of the converter as it went in.
ELEMENTS = frozenset(
    (
        'math',
        'mrow',
        'mi',
        'mn',
        'mo',
        'ms',
        'mtext',
        'mspace',
        'mfrac',
        'msqrt',
        'mroot',
        'mstyle',
        'mpadded',
        'mphantom',
        'msub',
        'msup',
        'msubsup',
        'munder',
        'mover',
        'munderover',
        'mtable',
        'mtr',
        'mtd',
        'menclose',
    )
)
ACTIVE = ('href', 'src', 'style', 'class', 'id', 'on', 'xlink', '{')
_LATEX = str.maketrans(
    {letter: f'\\{letter}' for letter in '&%$#_{}'}
    | {
        '\\': r'\textbackslash{}',
        '~': r'\textasciitilde{}',
        '^': r'\textasciicircum{}',
        '<': r'\textless{}',
    }
    | {
        '>': r'\textgreater{}',
        '\u00a0': '~',
        '\u2212': '$-$',
        '\u2013': '--',
        '\u00d7': r'$\times$',
    }
)
_MARKED = re.compile(f'([{_NAME}{_CODE}{_MATH}])([^{_END}]*){_END}')


def name(text: object) -> str:
    """Marks a name that comes from the study (an option, a condition).

    To be set apart from the sentence around it.
    """
    return f'{_NAME}{flat(text)}{_END}'


def code(text: object) -> str:
    """Marks what is typed or read on a computer: a setting, a file."""
    return f'{_CODE}{flat(text)}{_END}'


def math(tex: object) -> str:
    """Marks a formula, in TeX."""
    return f'{_MATH}{flat(tex)}{_END}'


def mathml(tex: str, display: str = 'inline') -> Markup:
    """A formula as MathML, which browsers set and screen readers read; display.

    `inline` or `block`.

    Raises:
      ValueError: it holds what cannot be converted.
    """
    made = converter.convert(re.sub(r'\{aligned\}', '{split}', tex), display=display)
    if not _is_formula(made) or re.search(r'>\\\w', made):
        raise ValueError(f'a formula that cannot be converted: {tex}')
    # A prime is raised by itself: as a superscript fonts without a size for it draw it as a dot.
    made = re.sub(
        r'<msup>(<mi>[^<]*</mi>)<mi>(&#x02032;)</mi></msup>',
        r'\1<mo lspace="0" rspace="0">\2</mo>',
        made,
    )
    return Markup(made.replace('<math ', f'<math alttext="{escape(tex)}" ', 1))


def _is_formula(made: str) -> bool:
    """Whether it is of MathML's elements alone, none of them with a link, a style or an action."""
    try:
        elements = list(ElementTree.fromstring(made).iter())
    except ElementTree.ParseError:
        return False
    tags = {element.tag.rpartition('}')[2] for element in elements}
    names = {name.lower() for element in elements for name in element.attrib}
    return tags <= ELEMENTS and not any(name.startswith(ACTIVE) for name in names)


def flat(text: object) -> str:
    """On one line, without control, surrogate or private-use characters.

    Or such as turn the direction of writing.
    """
    return re.sub(rf'[ {UNSEEN}\ue000-\uf8ff]+', ' ', str(text)).strip(' ')


def plain(text: str) -> str:
    """Without the marks, where no element can stand."""
    return re.sub(f'[{_NAME}{_CODE}{_MATH}{_END}]', '', text)


def html(text: object) -> Markup:
    """Escaped for HTML, marks as elements; what is Markup already stays."""
    if isinstance(text, Markup):
        return text
    written, end = Markup(), 0
    for mark in _MARKED.finditer(str(text)):
        written += escape(str(text)[end : mark.start()]) + _element(mark[1], mark[2])
        end = mark.end()
    return written + escape(str(text)[end:])


def markdown(text: object) -> str:
    """Escaped for (GitHub's) Markdown, also within a table; what is Markup already stays."""
    if isinstance(text, Markup):
        return str(text)
    text, written, end = str(text), '', 0
    for mark in _MARKED.finditer(text):
        inner = {_NAME: lambda s: f'**{_escaped(s)}**', _CODE: _span, _MATH: lambda s: f'${s}$'}[
            mark[1]
        ](mark[2])
        written += _escaped(text[end : mark.start()]) + inner
        end = mark.end()
    return written + _escaped(text[end:])


def latex(text: object) -> str:
    """Escaped for LaTeX, marks as commands."""
    text, written, end = str(text), '', 0
    for mark in _MARKED.finditer(text):
        command = {_NAME: r'\textbf{%s}', _CODE: r'\texttt{%s}', _MATH: '$%s$'}[mark[1]]
        inner = mark[2] if mark[1] == _MATH else _in_latex(mark[2])
        written += _in_latex(text[end : mark.start()]) + command % inner
        end = mark.end()
    return written + _in_latex(text[end:])


def fence(text: str) -> str:
    """A fence that no line of `text` can close."""
    return '`' * max(3, 1 + _longest_run(text))


def _element(mark: str, inner: str) -> Markup:
    if mark == _MATH:
        return mathml(inner)
    tag = Markup({_NAME: 'b', _CODE: 'code'}[mark])
    return Markup('<{}>{}</{}>').format(tag, inner, tag)


def _escaped(text: str) -> str:
    text = text.replace('\n', ' ').replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')
    return re.sub(r'([\\`*_\[\]|#~$])', r'\\\1', text)


def _in_latex(text: str) -> str:
    return ' '.join(text.split('\n')).translate(_LATEX)


def _span(text: str) -> str:
    """A span of code; a bar is escaped, since a table would end its cell there, code or not."""
    ticks, pad = '`' * (1 + _longest_run(text)), ' ' if '`' in text else ''
    return f'{ticks}{pad}{text}{pad}{ticks}'.replace('|', '\\|')


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall('`+', text)), default=0)
