"""Where a sweep came from: model, solver, versions, commit, date."""

import json
import os
import platform
import subprocess
import time
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .grid import Plan
from .store import FORMAT


def provenance(plan: Plan) -> dict[str, Any]:
    """The attributes of a dataset about to be computed; mappings are JSON text, so that netCDF takes them too."""
    return {
        "model": plan.name,
        "const": json.dumps(plan.const),
        "starts": list(plan.starts),
        "solver": repr(plan.solver),
        "format": FORMAT,
        "versions": json.dumps(
            {"python": platform.python_version()}
            | {p: _version(p) for p in ("mattis", "numpy", "scipy", "numba", "xarray", "zarr")}
        ),
        "commit": _commit(Path(__file__).resolve().parent.parent),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def resumed(stored: dict[str, Any], now: dict[str, Any], more: bool) -> dict[str, Any]:
    """The stored attributes; where more is computed now, by another version or commit, that leaves a line."""
    if not more or (stored.get("versions"), stored.get("commit")) == (now["versions"], now["commit"]):
        return stored
    line = f"{now['created']} commit {now['commit']} versions {now['versions']}"
    return stored | {"resumed": [*stored.get("resumed", []), line]}


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


@cache
def _commit(root: Path) -> str:
    """``git describe`` of the checkout the package runs from; "none" where it runs from no checkout."""
    if not (root / ".git").exists():
        return "none"
    command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
    try:
        told = subprocess.run(
            command, capture_output=True, text=True, timeout=5, env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
        )
    except (OSError, subprocess.TimeoutExpired):
        return "none"
    return told.stdout.strip() or "none"
