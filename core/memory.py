"""How much memory a computation may take: told before it starts, not when the system kills it."""

import os
from contextlib import suppress
from pathlib import Path

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def available() -> int | None:
    """Bytes a process may still take: what Linux calls available, else what is installed; None where unknown."""
    with suppress(OSError, StopIteration, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1])
    with suppress(ValueError, OSError, AttributeError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def in_units(size: float) -> str:
    """Bytes as one reads them.

    >>> in_units(1_500_000_000)
    '1.4 GiB'
    """
    power = 0
    while size >= 1024 and power < len(_UNITS) - 1:
        size, power = size / 1024, power + 1
    return f"{size:.3g} {_UNITS[power]}"


def require_memory(size: float, what: str, smaller: str) -> None:
    """Raise ``MemoryError`` where an estimate, in bytes, is beyond what is available.

    >>> require_memory(2.0**70, "xi of K = 2^40", "fewer patterns")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    MemoryError: xi of K = 2^40 would take 1.02e+03 EiB, ...: take fewer patterns
    """
    free = available()
    if free is not None and size > free:
        raise MemoryError(f"{what} would take {in_units(size)}, and {in_units(free)} are available: take {smaller}")
