"""What a run shows while it works: a live line on a terminal, plain lines elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from jaxdl.errors import visible
from jaxdl.workdir.journal import Event

PLAIN_EVERY = 5.0  # seconds between plain lines within a group


@contextlib.contextmanager
def display(plan: Mapping[str, Any]) -> Iterator[Callable[[Event], None]]:
    """Gives a function that shows an event of the journal; to stderr.

    So that stdout stays the caller's.
    """
    left = time_left(plan)
    if not sys.stderr.isatty():
        yield plain(left)
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
                bar.update(task, description=describe(event), completed=share, left=words)

        yield show


@contextlib.contextmanager
def fine() -> Iterator[Callable[[Event], None]]:
    """As `display`, for a probe and fine-tunings: steps with the rate and the time left.

    Epochs stay to be read.
    """
    left, last = steps_left(), -PLAIN_EVERY
    live = sys.stderr.isatty()
    columns = (TextColumn('{task.description}', markup=False), BarColumn())
    with Progress(
        *columns, console=Console(stderr=True, markup=False), transient=True, disable=not live
    ) as bar:
        task = bar.add_task('', total=1.0)

        def show(event: Event) -> None:
            nonlocal last
            text, share = worded(event), event.get('step', 0) / max(1, event.get('steps', 1))
            words = left(event)
            if not text:
                return
            if live:
                bar.update(task, description=f'{text}  {words}', completed=share)
            if event['event'] == 'epoch' and 'task' in event:  # an epoch stays to be read
                bar.console.print(text, highlight=False) if live else say(text)
            elif not live and (
                event['event'] == 'compile' or time.monotonic() - last > PLAIN_EVERY
            ):
                last = time.monotonic()
                say(f'{text}  {words}'.rstrip())

        yield show


def worded(event: Event) -> str:
    """An event of a probe or a fine-tuning for a person; empty for one that nobody waits for."""
    if 'options' in event:
        return describe(event)
    if 'task' not in event:
        return ''
    if event['event'] == 'compile':
        return f'{event["task"]}: compiling for {event["size"]} px'
    if event['event'] == 'resume':
        return f'{event["task"]}: goes on at step {event["step"]} of {event["steps"]}'
    rates = f'{event["images_per_second"]:.1f} images/s, {100 * event["input_wait"]:.1f} % waiting for input'
    if event['event'] == 'step':
        return f'{event["task"]}: step {event["step"]}/{event["steps"]}, loss {event["loss"]:.3f}, {rates}'
    found = [f'{name} {event[key]:.4f}' for key, name in SHOWN.items() if key in event]
    return f'{event["task"]}: epoch {event["epoch"]}/{event["epochs"]}, {", ".join(found)}; {rates}'


SHOWN = dict(
    train_loss='loss',
    val_loss='validation loss',
    val_accuracy='accuracy',
    val_top5='top 5',
    val_macro_f1='macro F1',
)


def steps_left() -> Callable[[Event], str]:
    """A function from event to words for the time left, by the steps of this session."""
    began: dict[str, tuple[float, int]] = {}

    def left(event: Event) -> str:
        if event['event'] != 'step':
            return ''
        now = time.monotonic()
        start, first = began.setdefault(event['task'], (now, event['step']))
        done = event['step'] - first
        if not done:
            return ''
        seconds = (now - start) / done * (event['steps'] - event['step'])
        return (
            f'about {seconds:.0f} s left' if seconds < 90 else f'about {seconds / 60:.0f} min left'
        )

    return left


def say(text: str) -> None:
    """A line of its own, for whoever waits."""
    sys.stderr.write(f'{visible(text)}\n')
    sys.stderr.flush()


def plain(left: Callable[[Event], tuple[float, str]]) -> Callable[[Event], None]:
    """Shows a line when a group starts, when it ends, and now and then between."""
    last = -PLAIN_EVERY

    def show(event: Event) -> None:
        nonlocal last
        _, words = left(event)
        ends = event['event'] == 'compile' or event.get('epoch') == event.get('epochs')
        if event['event'] in ('epoch', 'compile') and (
            ends or time.monotonic() - last > PLAIN_EVERY
        ):
            last = time.monotonic()
            say(f'{describe(event)}  {words}')

    return show


def describe(event: Event) -> str:
    """`tune max: epoch 3/20, 15 members`.

    The condition and diverged members where there are any.
    """
    where = visible(f'{event["condition"]} ' if event['condition'] else '')
    options = visible(', '.join(event['options']))
    what = (
        'compiling' if event['event'] == 'compile' else f'epoch {event["epoch"]}/{event["epochs"]}'
    )
    lost = f', {event["diverged"]} diverged' if event.get('diverged') else ''
    return f'{where}{event["phase"]} {options}: {what}, {event["members"]} members{lost}'


def time_left(plan: Mapping[str, Any]) -> Callable[[Event], tuple[float, str]]:
    """A function from event to (share done, words for the time left).

    By the members' steps of this session.
    """
    total = sum(group['members'] * group['steps'] for group in plan['groups'])
    done, began = 0.0, time.monotonic()
    size = {tuple(group['options']): group['steps'] for group in plan['groups']}

    def left(event: Event) -> tuple[float, str]:
        nonlocal total, done
        if event['event'] in ('epoch', 'read'):
            steps = next(
                (s for options, s in size.items() if set(event['options']) <= set(options)), 0
            )
            if event['event'] == 'read':  # a session before this one trained it
                total -= event['members'] * steps
            else:
                done = min(total, done + event['members'] * steps / event['epochs'])
        if not done:
            return 0.0, ''
        seconds = (time.monotonic() - began) * (total - done) / done
        return (
            done / total,
            f'about {seconds:.0f} s left' if seconds < 90 else f'about {seconds / 60:.0f} min left',
        )

    return left
