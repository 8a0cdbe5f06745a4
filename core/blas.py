"""Threads of linear algebra: those of OpenBLAS spin on after a call and slow whatever follows on the same cores."""

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

LARGE = 4096
"""Rows from where a factorisation gains more by all cores than it loses by the spinning after it."""


@cache
def _controller() -> Any:
    return ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """Linear algebra within the calling thread."""
    limit: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limit


def threads_for(n: int) -> AbstractContextManager[Any]:
    """One thread for matrices of fewer than LARGE rows, else all."""
    return one_thread() if n < LARGE else nullcontext()
