"""Progress of a run on stderr: a live line on a terminal, plain lines elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from jaxdl.errors import visible
from jaxdl.workdir.journal import Event
from jaxdl.workdir.records import GroupPlan

PLAIN_EVERY = 5.0  # seconds between plain lines
SHORT = 0.5  # seconds of work that is not worth a line
LAST = 'evaluation, tables and report follow'  # after the last step, whose time is not estimated


@contextlib.contextmanager
def show_ablation(
    groups: Sequence[GroupPlan], extension: int = 0
) -> Iterator[Callable[[Event], None]]:
    """Show the events of the journal on stderr; stdout stays the caller's.

    Args:
      groups: planned groups of the run.
      extension: number of the extension that has these groups; 0 for the first run.

    Yields:
      A function of an event.
    """
    left = estimate_time_left(groups, extension)
    if not sys.stderr.isatty():
        yield show_plain_lines(left)
        return
    columns = (
        TextColumn('{task.description}', markup=False),
        BarColumn(),
        TextColumn('{task.fields[left]}'),
    )
    with Progress(*columns, console=Console(stderr=True, markup=False), transient=True) as bar:
        task = bar.add_task('starting', total=1.0, left='')

        def show(event: Event) -> None:
            share, words = left(event)
            if event['event'] in ('epoch', 'compile'):
                bar.update(task, description=describe_event(event), completed=share, left=words)

        yield show


@contextlib.contextmanager
def show_finetuning() -> Iterator[Callable[[Event], None]]:
    """Show the steps and epochs of a probe and of fine-tunings.

    Yields:
      A function of an event of the journal. Lines of epochs stay on the terminal.
    """
    left = estimate_steps_left()
    with _open_line() as line:

        def show(event: Event) -> None:
            text, share = format_event(event), event.get('step', 0) / max(1, event.get('steps', 1))
            words = left(event)
            if not text:
                return
            if event['event'] == 'epoch' and 'task' in event:
                line.write(text)
            else:
                line.update(text, share, words, at_once=event['event'] == 'compile')

        yield show


@contextlib.contextmanager
def show_progress(text: str, total: int, unit: str = 'images') -> Iterator[Callable[[int], None]]:
    """Show how far a loop is, with its rate and the time left; a short loop shows nothing.

    Args:
      text: the work in words, such as `decoding`.
      total: number of items.
      unit: plural of an item.

    Yields:
      A function that adds to the number of items that are done.
    """
    count_done, began = 0, time.monotonic()
    with _open_line(SHORT) as line:

        def advance(count: int) -> None:
            nonlocal count_done
            count_done += count
            seconds = time.monotonic() - began
            words = ''
            if count_done and seconds:
                rate = count_done / seconds
                left = f', {format_duration((total - count_done) / rate)} left'
                words = f'{rate:,.0f} {unit}/s{left if count_done < total else ""}'
            share = count_done / max(1, total)
            last = count_done >= total and line.used
            line.update(f'{text}: {count_done:,} of {total:,}', share, words, at_once=last)

        yield advance


class _Line:
    """The current state of a run: a live line on a terminal, now and then a plain line elsewhere.

    Attributes:
      used: whether a plain line was written.
    """

    def __init__(self, bar: Progress | None, delay: float) -> None:
        self.bar, self.used, self.due = bar, False, time.monotonic() + delay
        self.task = bar.add_task('', total=1.0, words='') if bar else None

    def update(self, text: str, share: float, words: str = '', at_once: bool = False) -> None:
        """Show the work, the share that is done, and the rate or the time left.

        `now` writes a plain line even if the last one was written a moment ago.
        """
        if self.bar and self.task is not None:
            self.bar.update(self.task, description=visible(text), completed=share, words=words)
        elif at_once or time.monotonic() >= self.due:
            self.used, self.due = True, time.monotonic() + PLAIN_EVERY
            write_line(f'{text}, {words}' if words else text)

    def write(self, text: str) -> None:
        """Write a line that stays."""
        if self.bar:
            self.bar.console.print(visible(text), highlight=False)
        else:
            write_line(text)


@contextlib.contextmanager
def _open_line(delay: float = 0.0) -> Iterator[_Line]:
    """Open a line on stderr; the first plain line comes after `delay` seconds."""
    if not sys.stderr.isatty():
        yield _Line(None, delay)
        return
    columns = (
        TextColumn('{task.description}', markup=False),
        BarColumn(),
        TextColumn('{task.fields[words]}', markup=False),
    )
    with Progress(*columns, console=Console(stderr=True, markup=False), transient=True) as bar:
        yield _Line(bar, delay)


def format_duration(seconds: float) -> str:
    """Format a time: `about 12 s`, or `about 3 min`."""
    if seconds < 1:
        return 'under 1 s'
    return f'about {seconds:.0f} s' if seconds < 90 else f'about {seconds / 60:.0f} min'


def format_event(event: Event) -> str:
    """Format an event of a probe or a fine-tuning; empty for an event that is not shown."""
    if 'options' in event:
        return describe_event(event)
    if 'task' not in event:
        return ''
    if event['event'] == 'compile':
        return f'{event["task"]}: compiling for {event["size"]} px'
    if event['event'] == 'diverged':
        return f'{event["task"]}: diverged at step {event["step"] + 1}; it counts as chance'
    if event['event'] == 'resume':
        return f'{event["task"]}: resumes at step {event["step"]} of {event["steps"]}'
    rates = (
        f'{event["images_per_second"]:.1f} images/s, '
        f'{100 * event["input_wait"]:.1f} % waiting for input'
    )
    if event['event'] == 'step':
        step = f'step {event["step"]}/{event["steps"]}, loss {event["loss"]:.3f}'
        return f'{event["task"]}: {step}, {rates}'
    metrics = ', '.join(f'{name} {event[key]:.4f}' for key, name in METRICS.items() if key in event)
    return f'{event["task"]}: epoch {event["epoch"]}/{event["epochs"]}, {metrics}; {rates}'


METRICS = dict(
    train_loss='loss',
    val_loss='validation loss',
    val_accuracy='accuracy',
    val_top5='top 5',
    val_macro_f1='macro F1',
)


def estimate_steps_left() -> Callable[[Event], str]:
    """A function from event to words for the time left, by the steps of this session."""
    began: dict[str, tuple[float, int]] = {}

    def left(event: Event) -> str:
        if event['event'] != 'step':
            return ''
        time_now = time.monotonic()
        start, first = began.setdefault(event['task'], (time_now, event['step']))
        steps_done = event['step'] - first
        if event['step'] >= event['steps']:
            return 'evaluation follows'
        if not steps_done:
            return ''
        seconds = (time_now - start) / steps_done * (event['steps'] - event['step'])
        return f'{format_duration(seconds)} left'

    return left


def write_line(text: str) -> None:
    """Write a line of its own to stderr."""
    sys.stderr.write(f'{visible(text)}\n')
    sys.stderr.flush()


def show_plain_lines(left: Callable[[Event], tuple[float, str]]) -> Callable[[Event], None]:
    """Show a line when a group starts, when a chunk ends, and now and then between.

    Chunks of a group share a program, so that only the first one is compiled.
    """
    last, written = -PLAIN_EVERY, set[Any]()

    def show(event: Event) -> None:
        nonlocal last
        _, words = left(event)
        if event['event'] not in ('epoch', 'compile'):
            return
        starts, ends = event['event'] == 'compile', event.get('epoch') == event.get('epochs')
        passed = time.monotonic() - last
        group = (event['condition'], event['phase'], tuple(event['options']), starts)
        due = passed > PLAIN_EVERY
        if starts or ends:
            due = group not in written or (not starts and passed > 1)
            written.add(group)
        if due:
            last = time.monotonic()
            write_line(f'{describe_event(event)}  {words}')

    return show


def describe_event(event: Event) -> str:
    """Text of an event: `tune max: epoch 3/20, 15 members`.

    A condition and diverged members are added where there are any.
    """
    where = visible(f'{event["condition"]} ' if event['condition'] else '')
    options = visible(', '.join(event['options']))
    stage = (
        'compiling' if event['event'] == 'compile' else f'epoch {event["epoch"]}/{event["epochs"]}'
    )
    diverged = f', {event["diverged"]} diverged' if event.get('diverged') else ''
    phase = f'{event["phase"]} ({event["stage"]})' if event.get('stage') else event['phase']
    return f'{where}{phase} {options}: {stage}, {event["members"]} members{diverged}'


def estimate_time_left(
    groups: Sequence[GroupPlan], extension: int = 0
) -> Callable[[Event], tuple[float, str]]:
    """Estimate the time left by the members' steps of this session.

    Args:
      groups: planned groups; a grid that grows adds to them.
      extension: number of the extension that has these groups; 0 for the first run.

    Returns:
      A function from event to (share done, words for the time left).
    """
    total = sum(group.members * group.steps for group in groups)
    steps_done, began = 0.0, time.monotonic()
    waiting = {group: group.members for group in groups}

    def group_of(event: Event) -> GroupPlan | None:
        key = event['condition'], event['phase'], event.get('stage', '')
        return next(
            (
                group
                for group in groups
                if (group.condition, group.phase, group.stage) == key
                and event.get('extension', 0) == extension
                and set(event['options']) <= set(group.options)
            ),
            None,
        )

    def left(event: Event) -> tuple[float, str]:
        nonlocal total, steps_done
        group = group_of(event) if event['event'] in ('compile', 'epoch', 'read') else None
        if group and event['event'] in ('compile', 'read'):
            waiting[group] -= event['members']
            if waiting[group] < 0:  # a grid that has grown
                total -= waiting[group] * group.steps
                waiting[group] = 0
        if group and event['event'] == 'read':  # an earlier session trained it
            total -= event['members'] * group.steps
        if group and event['event'] == 'epoch':
            epochs = event['epochs'] - event.get('first', 0)
            steps_done = min(total, steps_done + event['members'] * group.steps / epochs)
        if not steps_done:
            return 0.0, ''
        if steps_done >= total:
            return 1.0, LAST
        seconds = (time.monotonic() - began) * (total - steps_done) / steps_done
        return (steps_done / total, f'{format_duration(seconds)} left')

    return left
