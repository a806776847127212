"""Predictions of concurrent requests: small ones that are ready together are one batch, large ones go to a thread."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple, TypeVar

from retrain.models.model import Answer, Columns, Model
from retrain.serving.counters import Counters
from retrain.serving.limits import BUSY, Limits, RefusedError

import numpy as np

__all__ = ["SMALL_BYTES", "SMALL_ROWS", "Batches"]


SMALL_ROWS, SMALL_BYTES = 128, 1 << 16
"""Requests with more rows, or with larger bodies, would keep all others waiting: they go to the thread."""
ROWS_AT_ONCE = 256
MOST_GATHERED = 64
"""Requests that wait for further ones."""

Result = TypeVar("Result")


class Job(NamedTuple):
    """A small request that waits for its batch."""

    model: Model
    columns: Columns
    rows: int
    answers: "asyncio.Future[list[Answer]]"


class Batches:
    """The work that waits, and what does it."""

    def __init__(self, limits: Limits, counters: Counters) -> None:
        self.limits, self.counters = limits, counters
        self.jobs: list[Job] = []
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="large")
        self.turn = asyncio.Lock()
        self.waiting = 0
        """Large requests that wait for the thread."""

    async def predict(self, model: Model, columns: Columns, rows: int) -> list[Answer]:
        """The answers to a small request.

        It is predicted with all others that the event loop has read by then. Nothing waits for further requests: while a
        batch is computed, the next one gathers in the sockets.
        """
        loop = asyncio.get_running_loop()
        if not self.jobs:
            loop.call_soon(self.work, 0)
        job = Job(model, columns, rows, loop.create_future())
        self.jobs.append(job)
        return await job.answers

    def predict_now(self, model: Model, columns: Columns, rows: int) -> list[Answer]:
        """The answers to a small request, without others."""
        answers = model.answers(columns)
        self.counters.batches.add(rows)
        return answers

    def work(self, seen: int) -> None:
        """Predict the jobs that wait, as many as fit into a batch; a new model starts a new batch.

        As long as each turn of the event loop brings further jobs, they wait for the next turn: it takes microseconds.
        """
        if seen < len(self.jobs) < MOST_GATHERED:
            asyncio.get_running_loop().call_soon(self.work, len(self.jobs))
            return
        total = 0
        some: list[Job] = []
        for job in self.jobs:
            if some and (job.model is not some[0].model or total + job.rows > ROWS_AT_ONCE):
                break
            some.append(job)
            total += job.rows
        del self.jobs[: len(some)]
        if self.jobs:
            asyncio.get_running_loop().call_soon(self.work, len(self.jobs))
        self.answer(some, total)

    def answer(self, jobs: list[Job], total: int) -> None:
        """Give each job its answers, or its error."""
        model = jobs[0].model
        try:
            answers = iter(model.answers(together([job.columns for job in jobs])))
        except Exception as error:  # noqa: BLE001 (each request gets its own error)
            if len(jobs) == 1:
                if not jobs[0].answers.done():
                    jobs[0].answers.set_exception(error)
                return
            for job in jobs:  # one of them is at fault
                self.answer([job], job.rows)
            return
        self.counters.batches.add(total)
        for job in jobs:
            own = list(islice(answers, job.rows))
            if not job.answers.done():  # its client may have gone away
                job.answers.set_result(own)

    async def in_thread(self, work: Callable[[], Result]) -> Result:
        """The result of a large request's work; raises RefusedError if too many wait, or it waits too long."""
        if (self.waiting or self.turn.locked()) and self.waiting >= self.limits.queue:
            raise RefusedError(503, f"{self.waiting} large requests wait already; try again later", BUSY)
        self.waiting += 1
        try:
            async with asyncio.timeout(self.limits.seconds):
                await self.turn.acquire()
        except TimeoutError:
            raise RefusedError(503, "earlier large requests take too long; try again later", BUSY) from None
        finally:
            self.waiting -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self.pool, work)
        finally:
            self.turn.release()


def together(parts: list[Columns]) -> Columns:
    """The columns of several requests, one after the other."""
    if len(parts) == 1:
        return parts[0]
    return {name: joined([columns[name] for columns in parts]) for name in parts[0]}


def joined(parts: list[list[object]] | list[np.ndarray]) -> list[object] | np.ndarray:
    """One column of several requests."""
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    return [value for part in parts for value in part]
