"""Progress of a run: shares that never decrease, and one line per message in a log."""

import pytest

from jaxdl.runtime import progress
from jaxdl.workdir.records import GroupPlan


def group(options, members, steps, condition=''):
    return GroupPlan(
        condition=condition,
        phase='tune',
        options=options,
        members=members,
        steps=steps,
        batch_size=32,
        sides=(1, 1),
        chunks=1,
        limit=1,
        cores=1,
        member_bytes=1,
        conv='patches',
    )


PLAN = [group(('max', 'avg'), 10, 60), group(('l2',), 30, 20)]


def event(name, options, members, condition='', **more):
    return dict(
        event=name, condition=condition, phase='tune', options=options, members=members, **more
    )


def test_the_share_counts_the_steps_of_members():
    left = progress.estimate_time_left(PLAN)
    assert left(event('compile', ['max'], 10)) == (0.0, '')
    shares = [left(event('epoch', ['max'], 10, epoch=i, epochs=2))[0] for i in (1, 2)]
    assert shares == pytest.approx([0.25, 0.5])
    share, words = left(event('epoch', ['l2'], 30, epoch=1, epochs=1))
    assert share == pytest.approx(1.0)
    assert words == progress.LAST


def test_members_read_from_disk_count_no_time():
    left = progress.estimate_time_left(PLAN)
    left(event('read', ['max'], 10))
    assert left(event('epoch', ['l2'], 15, epoch=1, epochs=1))[0] == pytest.approx(0.5)


def test_conditions_with_different_epochs_have_steps_of_their_own():
    left = progress.estimate_time_left(
        [group(('max',), 10, 60, 'long'), group(('max',), 10, 20, 'short')]
    )
    share, _ = left(event('epoch', ['max'], 10, 'long', epoch=1, epochs=1))
    assert share == pytest.approx(60 / 80)


def test_a_grid_that_grows_adds_to_the_steps():
    left = progress.estimate_time_left([group(('max',), 10, 60)])
    left(event('compile', ['max'], 10))
    left(event('epoch', ['max'], 10, epoch=1, epochs=1))
    left(event('compile', ['max'], 5))
    assert left(event('epoch', ['max'], 5, epoch=1, epochs=2))[0] == pytest.approx(12.5 / 15)


def test_lines_name_what_happens(capsys):
    show = progress.show_plain_lines(progress.estimate_time_left(PLAN))
    show(event('start', [], 0))
    show(event('compile', ['max', 'avg'], 10))
    show(event('epoch', ['max', 'avg'], 10, epoch=1, epochs=9, diverged=0))
    show(event('epoch', ['max', 'avg'], 10, epoch=9, epochs=9, diverged=2))
    show(event('compile', ['max', 'avg'], 10))  # of the next chunk, which has the same program
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2  # the epoch between comes too soon
    assert lines[0].startswith('tune max, avg: compiling, 10 members')
    assert lines[1].startswith('tune max, avg: epoch 9/9, 10 members, 2 diverged  ')
    assert lines[1].endswith(' left')


def test_members_of_another_extension_are_not_counted():
    left = progress.estimate_time_left(PLAN, extension=1)
    left(event('read', ['max'], 10))
    assert left(event('epoch', ['l2'], 30, epoch=1, epochs=1))[0] == 0.0
    share, _ = left(event('epoch', ['l2'], 30, epoch=1, epochs=1, extension=1))
    assert share == pytest.approx(0.5)


def test_after_the_last_step_no_time_is_promised():
    left = progress.estimate_steps_left()
    steps = [dict(event='step', task='finetune', step=step, steps=20) for step in (0, 10, 20)]
    assert left(steps[0]) == ''
    assert left(steps[1]) == 'under 1 s left'
    assert left(steps[2]) == 'evaluation follows'
