"""Apply a function to many items by threads, in order and with bounded memory."""

import concurrent.futures
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from jaxdl.runtime import machine

Item = TypeVar('Item')
Result = TypeVar('Result')


def threaded_map(
    function: Callable[[Item], Result], items: Sequence[Item], *, ahead: int, per_task: int = 1
) -> Iterator[Result]:
    """Yield the results of `function` in the order of `items`, by one thread per usable core.

    Args:
      function: called once per item. It should release the GIL, as decoders do.
      items: what it takes.
      ahead: results that may wait in memory.
      per_task: items per task; more than 1 where a call is short.

    Raises:
      Exception: the first one that `function` raises, at the place of its item.
    """

    def task(start: int) -> list[Result]:
        return [function(items[i]) for i in range(start, min(start + per_task, len(items)))]

    pool = concurrent.futures.ThreadPoolExecutor(machine.usable_cores(), 'map')
    waiting: deque[concurrent.futures.Future[list[Result]]] = deque()
    try:
        for start in range(0, len(items), per_task):
            waiting.append(pool.submit(task, start))
            if len(waiting) * per_task > ahead:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
