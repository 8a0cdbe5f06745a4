"""What the figures of finite networks share: many of them trained side by side."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from threadpoolctl import threadpool_limits
from tqdm import tqdm


def side_by_side(one: Callable[..., Any], jobs: Iterable[tuple[Any, ...]], told: str) -> list[Any]:
    """``one(*job)`` of all jobs in their order, one for each core; more threads of BLAS do not pay at such widths."""
    listed = list(jobs)
    with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(tqdm(pool.map(lambda job: one(*job), listed), told, len(listed), delay=2, disable=None))
