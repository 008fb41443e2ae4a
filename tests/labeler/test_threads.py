"""Many small jobs on a few threads: in order, a batch at a time, up to the first error."""

import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from labeler.threads import call_all


def test_results_come_in_the_order_of_the_jobs() -> None:
    assert list(call_all(partial(pow, n, 2) for n in range(1000))) == [n * n for n in range(1000)]
    assert list(call_all([])) == []


def test_jobs_are_taken_as_they_are_needed() -> None:
    taken: list[int] = []

    def jobs() -> Iterator[Callable[[], int]]:
        for n in range(100_000):
            taken.append(n)
            yield partial(pow, n, 2)

    assert next(call_all(jobs())) == 0
    assert len(taken) < 1000


def test_the_first_error_ends_it() -> None:
    done: list[int] = []

    def job(n: int) -> None:
        if n == 3:
            raise ValueError("three")
        done.append(n)

    with pytest.raises(ValueError, match="three"):
        list(call_all(partial(job, n) for n in range(100_000)))
    assert len(done) < 1000


def test_a_job_that_has_jobs_itself_does_them_in_its_own_thread() -> None:
    def job() -> set[int]:
        own = threading.get_ident()
        return {own, *call_all([threading.get_ident] * 5)}

    assert [len(threads) for threads in call_all([job] * 8)] == [1] * 8
