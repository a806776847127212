"""Results that background threads compute before they are needed, in order."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TypeVar

__all__ = ["ahead", "cores"]


Item = TypeVar("Item")
Result = TypeVar("Result")

EACH = 2
"""Results that wait for their use, per thread. More would take memory and save no time."""


def ahead(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """The results of a function for each item, in order; `threads` threads compute the next ones meanwhile.

    It pays for functions that spend their time in numpy or torch, which let other threads run. Results do not depend on
    the number of threads. A single item is not worth a thread.
    """
    items = iter(items)
    some = list(islice(items, 2))
    if len(some) < 2:
        yield from map(function, some)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque[Future[Result]]()
        for item in chain(some, items):
            waiting.append(pool.submit(function, item))
            if len(waiting) > EACH * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
