"""Runs many small jobs on a few threads; OpenCV and Pillow run in parallel there."""

import operator
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from threading import local
from typing import TypeVar

T = TypeVar("T")

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
"""The number of processor cores that this process may use."""

THREADS = min(8, CORES)
"""The number of threads. Each may hold a decoded picture, and all share one disk: more threads
would take more memory and save no time."""

_BATCH = 256

_thread = local()


def _mark_busy() -> None:
    _thread.busy = True


def call_all(jobs: Iterable[Callable[[], T]]) -> Iterator[T]:
    """Call each job on a few threads and yield the results in the jobs' order.

    Jobs are taken from the iterable a batch at a time, so that a hundred thousand of them need
    no more memory than a few hundred. The first error ends it; jobs not yet begun are dropped.
    A job that itself calls this does those jobs one after the other, as all threads are busy.
    """
    rest = iter(jobs)
    if getattr(_thread, "busy", False):
        yield from map(operator.call, rest)
        return
    with ThreadPoolExecutor(THREADS, initializer=_mark_busy) as pool:
        while batch := list(islice(rest, _BATCH)):
            yield from pool.map(operator.call, batch)
