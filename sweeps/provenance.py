"""Where a sweep came from: model, solver, versions, commit, date."""

import json
import time
from typing import Any

from ..core.versions import commit, versions
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
        "versions": json.dumps(versions("mattis", "numpy", "scipy", "numba", "xarray", "zarr")),
        "commit": commit(),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def resumed(stored: dict[str, Any], now: dict[str, Any], more: bool) -> dict[str, Any]:
    """The stored attributes; where more is computed now, by another version or commit, that leaves a line."""
    if not more or (stored.get("versions"), stored.get("commit")) == (now["versions"], now["commit"]):
        return stored
    line = f"{now['created']} commit {now['commit']} versions {now['versions']}"
    return stored | {"resumed": [*stored.get("resumed", []), line]}
