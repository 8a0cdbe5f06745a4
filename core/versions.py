"""Where numbers come from: the versions of packages, and the commit where mattis runs from a checkout."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python and of the packages named; "none" of one that is not installed.

    >>> sorted(versions("numpy"))
    ['numpy', 'python']
    """
    return {"python": platform.python_version()} | {p: _version(p) for p in packages}


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


@cache
def commit(root: Path = _ROOT) -> str:
    """``git describe`` of the checkout the package runs from; "none" where it runs from no checkout."""
    if not (root / ".git").exists():
        return "none"
    command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
    quiet = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=5, env=quiet, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "none"
    return told.stdout.strip() or "none"
