"""Compiled work on several threads."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from ...core.blas import one_thread


def in_threads(work: Callable[[int], None], jobs: Iterable[int], threads: int) -> None:
    """Call ``work(job)`` for all, the next job to the next free thread; linear algebra stays within its thread.

    An error or an interrupt ends it after the jobs under way.
    """
    with one_thread():
        if threads == 1:
            for job in jobs:
                work(job)
            return
        queue, lock, stop = iter(jobs), threading.Lock(), threading.Event()

        def run() -> None:
            while not stop.is_set():
                with lock:
                    job = next(queue, None)
                if job is None:
                    return
                work(job)

        with ThreadPoolExecutor(threads) as pool:
            try:
                for done in [pool.submit(run) for _ in range(threads)]:
                    done.result()
            finally:
                stop.set()
