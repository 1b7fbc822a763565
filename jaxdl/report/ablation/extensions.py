"""Extensions of a finished study: seeds, options or conditions that were added after its result."""

from jaxdl.report.ablation.study import AblationRun
from jaxdl.report.page import markup, words
from jaxdl.report.page.blocks import Block, Paragraph
from jaxdl.workdir.records import Extension

STOPPING = (
    'If the first result led to more seeds, p-values are too small and intervals too narrow '
    '(optional stopping). Only a study of new seeds alone confirms a verdict.'
)
HOLM = "Holm's correction counts the options of the extended study, not those of an earlier result."
FIXED = 'The seeds, options and conditions were not all fixed before the first result.'


def head(study: AblationRun) -> list[Block]:
    """A statement for the top of the page; empty for a study that was not extended."""
    if not study.extensions:
        return []
    return [Paragraph(f'{sentence(study)} {_consequence(study)}', 'warning')]


def sentence(study: AblationRun) -> str:
    """The extensions with their dates, in a sentence; empty without any."""
    if not study.extensions:
        return ''
    added = '; '.join(f'on {each.date} by {each.growth}' for each in study.extensions)
    return f'This study was extended after its result was visible: {markup.flat(added)}.'


def steps(study: AblationRun) -> list[str]:
    """A step of the protocol per extension."""
    return [_step(study, each) for each in study.extensions]


def limits(study: AblationRun) -> list[str]:
    """Statements on verdicts after an extension; empty without any."""
    if not study.extensions:
        return []
    options = any(extension.options for extension in study.extensions)
    return [f'{sentence(study)} {_consequence(study)}{f" {HOLM}" if options else ""}']


def _step(study: AblationRun, extension: Extension) -> str:
    command, versions = extension.command, extension.plan.versions if extension.plan else {}
    run = f' Command: {markup.code(words.local_command(command))}.' if command else ''
    changed = [
        f'{package} {version or "none"} (before {study.plan.versions.get(package) or "none"})'
        for package, version in versions.items()
        if version != study.plan.versions.get(package)
    ]
    other = f' Other versions: {markup.flat(", ".join(changed))}.' if changed else ''
    return (
        f'Extend, on {extension.date}, after the result was visible, by '
        f'{markup.flat(extension.growth)}. Earlier runs were used again, and earlier options kept '
        f'their hyperparameters.{run}{other}'
    )


def _consequence(study: AblationRun) -> str:
    return STOPPING if any(extension.seeds for extension in study.extensions) else FIXED
