import itertools
import threading

import pytest

from jaxdl.runtime import machine
from jaxdl.runtime.threads import threaded_map


@pytest.fixture(params=[1, 3])
def cores(request, monkeypatch):
    monkeypatch.setattr(machine, 'usable_cores', lambda: request.param)
    return request.param


@pytest.mark.parametrize('per_task', [1, 4])
@pytest.mark.parametrize('ahead', [0, 5, 1000])
def test_results_are_in_order_whatever_the_tasks(cores, per_task, ahead):
    results = threaded_map(lambda i: i * i, range(50), ahead=ahead, per_task=per_task)
    assert list(results) == [i * i for i in range(50)]
    assert list(threaded_map(str, [], ahead=ahead, per_task=per_task)) == []


def test_no_more_results_wait_than_asked_for(cores):
    calls = []
    results = threaded_map(calls.append, range(1000), ahead=8, per_task=2)
    list(itertools.islice(results, 10))
    results.close()
    assert 10 <= len(calls) <= 10 + 8 + 2


def test_an_error_is_raised_in_order_and_no_thread_is_left(cores):
    results = threaded_map(lambda i: 1 // (3 - i), range(100), ahead=8)
    assert list(itertools.islice(results, 3)) == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith('map')]
