import pytest

from jaxdl.report.page import markup, prose, render
from jaxdl.report.page.blocks import Code, Formula, Items, Page, Paragraph, Table
from jaxdl.theory import answer

TABLE = Table('caption', ('a', 'b'), [['1', '2']], 'lr', name='numbers')
TEXT = """In short: $a < b$ and `x_1`, **so**
on the next line too.

## The size of $w^1_{11}$

A paragraph.

$$
\\begin{aligned} a &= b \\\\ c &= \\frac{1}{2} \\end{aligned}
$$

- one
  wraps
- two $x$

1. first
2. second

```
a = 1

b = 2
```

![numbers]

## Then

More.
"""


def made():
    return prose.read(TEXT, [TABLE])


def test_every_construct_becomes_its_block():
    head, sections = made()
    assert [block.role for block in head if isinstance(block, Paragraph)] == ['lead']
    first, second = sections
    assert [type(block) for block in first.blocks] == [
        Paragraph,
        Formula,
        Items,
        Items,
        Code,
        Table,
    ]
    assert first.blocks[2] == Items(['one wraps', f'two {markup.math("x")}'])
    assert first.blocks[3] == Items(['first', 'second'], ordered=True)
    assert first.blocks[4] == Code('a = 1\n\nb = 2')
    assert first.blocks[5] is TABLE
    assert [markup.plain(section.title) for section in sections] == ['The size of w^1_{11}', 'Then']
    assert second.blocks == [Paragraph('More.')]


def test_formulas_are_mathml_in_html_and_dollars_in_markdown():
    head, sections = made()
    page = Page('Title', head, sections)
    html, markdown = render.html(page), render.markdown(page)
    assert html.count('<math ') == 5  # the one of the heading again in the table of contents
    assert '$' not in html.replace(render.script(), '').partition('<body>')[2]
    assert '$a < b$' in markdown
    assert '$$\\begin{aligned} a &= b' in markdown
    assert '## 1 The size of $w^1_{11}$' in markdown


@pytest.mark.parametrize(
    'tex', [r'\unheardof{x}', r'\text{<script>}', r'\text{<script>x</script>}', 'a & b']
)
def test_a_formula_that_cannot_be_converted_is_refused(tex):
    with pytest.raises(ValueError, match='a formula that cannot be converted'):
        markup.mathml(tex)


def test_a_text_and_its_blocks_must_agree():
    with pytest.raises(ValueError, match='does not use numbers'):
        prose.read('Nothing here.', [TABLE])
    with pytest.raises(ValueError, match="uses 'numbers'"):
        prose.read('In short.\n\n## S\n\n![numbers]', [])


def test_texts_cannot_inject_markup():
    head, _ = prose.read('A <b>bold</b> & $a < b$ claim.', [])
    assert '&lt;b&gt;bold&lt;/b&gt; &amp;' in render.html(Page('T', head, []))


TEXTS = sorted(answer.THEORY.glob('*/text.md'))


@pytest.mark.parametrize('path', TEXTS, ids=[path.stem for path in TEXTS])
def test_every_formula_of_every_text_can_be_set(path):
    text = path.read_text()
    formulas = [
        Table('c', ('a',), [['1']], 'l', name=line[2:-1])
        for line in text.splitlines()
        if line.startswith('![')
    ]
    head, sections = prose.read(text, formulas)
    html = render.html(Page('T', head, sections))
    assert '<math ' in html
    assert len(head) == 1, 'the answer in short is one paragraph'
    assert '$' not in html.replace(render.script(), '').partition('<body>')[2], (
        'a formula that does not end'
    )
