"""Labels of training and validation images that are probably wrong: numbers and pictures."""

from jaxdl.report.finetune import gallery
from jaxdl.report.finetune.reading import FineTuneRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Paragraph

METHOD = (
    'Confident learning (Northcutt et al. 2021): the threshold of a class is the mean probability '
    'of the class among the images with its label. An image is listed if its likeliest class above '
    'the threshold is another class than its label. The list also contains rare images with the '
    'right label: look at them before you change anything.'
)


def blocks(fitted: FineTuneRun, figure: str) -> list[Block]:
    """Number of suspicious labels, their pictures and the method; empty where none was examined."""
    facts = fitted.label_issues
    if not facts:
        return []
    examined, issues = int(facts['examined']), int(facts['issues'])
    left_out = int(facts['left_out'])
    text = (
        f'The labels of {words.count(issues, "image")} of {examined:,} training and validation '
        f'images are suspicious. Estimated share of wrong labels: '
        f'{words.percent(float(facts["share"]))}. Each image was predicted by the probe in a fold '
        f'of {int(facts["folds"])} that does not contain its group.'
    )
    if left_out:
        text += f' {words.count(left_out, "image")} of classes with one group were not examined.'
    pictures = gallery.label_issues(fitted, figure)
    more = f' All of them are in {markup.code("label_issues.csv")}.' if pictures else ''
    return [Paragraph(text + more), *pictures, Paragraph(METHOD, 'note')]
