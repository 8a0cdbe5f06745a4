"""``njit`` with a disk cache that cannot go stale and cannot stop an import.

Numba stamps a cached function with its own file only: an edited callee in another file, or a changed
global, would silently return old numbers. Here the cache folder is named by a hash of all sources that hold
compiled code or are called by it, so any edit of them opens a fresh folder. Where no folder can be written the
function is compiled without a cache.
"""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numba

PACKAGES = ("core", "theory", "solvers", "mc", "sweeps", "figures")
COMPILED = ("core", "mc", "theory/kernels")
"""Where numba may be imported; these import no other package but core."""
_ROOT = Path(__file__).resolve().parent.parent
_KEEP_SECONDS = 30 * 24 * 3600

F = TypeVar("F", bound=Callable[..., Any])


def sources_hash(root: Path = _ROOT, packages: tuple[str, ...] = COMPILED) -> str:
    """Twelve hex digits over the ``*.py`` of the listed packages (never of the whole root: it holds .venv)."""
    digest = hashlib.sha256()
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def cache_home() -> Path | None:
    """The first writable of MATTIS_CACHE, XDG_CACHE_HOME, ~/.cache and the temporary folder, or None."""
    for base in (_variable("MATTIS_CACHE"), _variable("XDG_CACHE_HOME"), lambda: "~/.cache", tempfile.gettempdir):
        with suppress(OSError, RuntimeError):
            if found := base():
                path = Path(found).expanduser() / "mattis"
                path.mkdir(parents=True, exist_ok=True)
                if os.access(path, os.W_OK):
                    return path
    return None


def _variable(name: str) -> Callable[[], str | None]:
    return lambda: os.environ.get(name)


def _open_cache() -> str | None:
    """The folder of this version's compiled code; folders unused for a month go."""
    home = cache_home()
    if home is None:
        return None
    path = home / "numba" / sources_hash()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    with suppress(OSError):  # another user's folder, or one that another process removes as we look
        os.utime(path)
        for old in path.parent.iterdir():
            if time.time() - old.stat().st_mtime > _KEEP_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
    return str(path) if os.access(path, os.W_OK) else None


_CACHE = _open_cache()


def njit(**options: Any) -> Callable[[F], F]:
    """``numba.njit`` with the cache above; ``options`` are Numba's."""

    def wrap(function: F) -> F:
        config: Any = numba.config
        before, config.CACHE_DIR = config.CACHE_DIR, config.CACHE_DIR or _CACHE or ""
        try:
            compiled: F = numba.njit(cache=_CACHE is not None, **options)(function)
        except RuntimeError:  # Numba found nowhere to write
            compiled = numba.njit(**options)(function)
        finally:
            config.CACHE_DIR = before
        return compiled

    return wrap
