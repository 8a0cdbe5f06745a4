"""How the kernel of a network is computed: compiled loops where there are any, else layer by layer on tiles."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import combinations
from math import frexp, ldexp, log
from typing import Any

import numpy as np
import xarray as xr

from ...core.backend import cores, namespace_of, to_host
from ...core.errors import is_real, real_array, require, require_integer
from ...core.memory import require_memory
from .chain import LARGE, Chain, taken_out
from .connected import Tile, connected_kernel, connected_tile, tile_bytes
from .conv_pairs import conv_kernel
from .conv_scale import in_range
from .gpu import device_tile
from .layered import bytes_per_pair, bytes_per_row, layered_tile
from .network import Network
from .plan import Convolution, chain_of, convolution_of
from .tiles import announce, edge_of, fill, tile_memory

NAMES = ("nngp", "ntk", "nngp_sqdist", "ntk_sqdist")
SMALLEST = 1e-145
"""Of the largest input, where no scale is taken out: the squares of smaller ones lose digits."""


@dataclass(frozen=True)
class Pair:
    """Kernels of an infinitely wide network; see ``Network.kernel``."""

    nngp: Any = None
    ntk: Any = None
    nngp_sqdist: Any = None
    ntk_sqdist: Any = None
    log_scale: Any = 0.0
    """the kernels are exp(log_scale) times the arrays; one number, or one for each depth"""
    quadrature_error: float = 0.0


def network_kernel(
    net: Network, x1: Any, x2: Any, *, get: str | Sequence[str], stable: bool, depths: Sequence[int] | None, out: Any,
    memory: float, threads: int | None,
) -> Pair:  # fmt: skip
    """See ``Network.kernel``."""
    require(isinstance(stable, bool), "stable", stable, "True or False")
    names, threads = _names(get, stable), _threads(threads)
    require(is_real(memory) and memory > 0, "memory", memory, "bytes > 0")
    x1, x2 = check_inputs(x1, x2)
    chain = None if namespace_of(x1) is not np else chain_of(net, x1.ndim == 4)
    if chain is None and (stable or depths is not None):
        asked = "stable=True" if stable else "depths"
        raise ValueError(f"{asked} is for host arrays and Dense layers with ABRelu or Erf units only: {_other(net)}")
    shape = (len(x1), len(x1 if x2 is None else x2))
    if chain is not None:
        chain, flat1, flat2 = _scaled(chain, *(None if x is None else x.reshape(len(x), -1) for x in (x1, x2)))
        steps = _depths(depths, len(chain.activations))
        targets = _targets(out, names, shape if depths is None else (len(steps), *shape))
        arrays, exponents = _connected(flat1, flat2, chain, steps, targets, names, memory, threads)
        scale: Any = np.array(exponents) * log(2) if depths is not None else exponents[0] * log(2)
        return _pair(arrays, names, None if depths is None else steps, targets, scale, 0.0)
    targets = _targets(out, names, shape)
    arrays, power, error = _tiled(net, x1, x2, names, targets, memory, threads)
    return _pair(arrays, names, None, targets, power * log(2), error)


def _largest(x: Any) -> float:
    return max(float(x.max()), -float(x.min()))


def _scaled(chain: Chain, x1: Any, x2: Any) -> tuple[Chain, Any, Any]:
    """Inputs whose squares stay in range: over a power of two, which the chain takes back."""
    power = frexp(max(_largest(x) for x in (x1, x2) if x is not None))[1]
    if abs(power) <= LARGE // 2:
        return chain, x1, x2
    x1, x2 = (None if x is None else np.ldexp(x, -power) for x in (x1, x2))
    return replace(chain, inputs=2 * power), x1, x2


def _connected(
    x1: Any, x2: Any, chain: Chain, depths: Sequence[int], targets: Mapping[str, Any] | None, names: Sequence[str],
    memory: float, threads: int,
) -> tuple[Mapping[str, Any], tuple[int, ...]]:  # fmt: skip
    """A chain of compiled layers: in memory at once, or tile by tile into ``targets``."""
    n2 = len(x1 if x2 is None else x2)
    if targets is None:
        size = 8.0 * len(x1) * n2 * len(depths) * len(names)
        require_memory(
            size, f"kernels of {len(x1)} x {n2} inputs at {len(depths)} depths", "out= a memmap, or fewer inputs"
        )
        found = connected_kernel(x1, x2, chain, depths=depths, names=names, threads=threads)
        return found._asdict(), found.exponent
    tile, exponents = connected_tile(x1, x2, chain, depths=depths, names=names)
    each = tile_bytes(len(depths), names)
    _stream(tile, targets, x2 is None, memory, threads, each)
    return targets, exponents


def _stream(
    tile: Tile, targets: Mapping[str, Any], symmetric: bool, memory: float, threads: int, each: float, row: float = 0.0
) -> None:
    edge = edge_of(memory, threads, each, 1024, row)
    announce(targets, edge, threads, tile_memory(edge, threads, each, row))
    fill(tile, targets, symmetric, edge, threads)


def _tiled(
    net: Network, x1: Any, x2: Any, names: Sequence[str], targets: Mapping[str, Any] | None, memory: float, threads: int
) -> tuple[Mapping[str, Any], int, float]:  # fmt: skip
    """Layer by layer, or compiled convolutions; the kernels over a power of two, and the error of activations."""
    xp, ntk, other, shape = namespace_of(x1), "ntk" in names, x1 if x2 is None else x2, x1.shape[1:]
    for name, x in (("x1", x1), ("x2", other)):
        largest = _largest(x)
        require(largest == 0 or largest > SMALLEST, f"the largest entry of {name}", largest, f"0 or > {SMALLEST}")
    if targets is None and xp is np:
        size = 8.0 * len(x1) * len(other) * len(names)
        require_memory(size, f"kernels of {len(x1)} x {len(other)} inputs", "out= a memmap, or fewer inputs")
    convolution = convolution_of(net, shape) if xp is np and x1.ndim == 4 else None
    if convolution is not None:
        return *_convolutions(convolution, x1, x2, names, targets, memory, threads), 0.0
    fused, errors = None if xp is np else device_tile(net, x1, x2, names), [0.0]
    each = bytes_per_pair(net, shape) if fused is None else tile_bytes(1, names)
    row = bytes_per_row(net, shape) if fused is None else 0.0
    threads = threads if xp is np else 1

    def tile(rows: slice, columns: slice, diagonal: bool) -> dict[str, Any]:
        if fused is not None:
            return fused(rows, columns, diagonal)
        found, error = layered_tile(net, x1[rows], other[columns], diagonal, ntk)
        errors.append(error)
        return {name: found[name] for name in names}

    if targets is not None:
        _stream(tile, targets, x2 is None, memory, threads, each, row)
        return targets, 0, max(errors)
    arrays = {name: xp.empty((len(x1), len(other))) for name in names}
    edge = edge_of(memory, threads, each, 256 if xp is np else 4096, row)
    fill(tile, arrays, x2 is None, edge, threads)
    return arrays, 0, max(errors)


def _convolutions(
    plan: Convolution, x1: Any, x2: Any, names: Sequence[str], targets: Mapping[str, Any] | None, memory: float,
    threads: int,
) -> tuple[Mapping[str, Any], int]:  # fmt: skip
    """The compiled convolutions, at once or tile by tile; the power of two left out."""
    other = x1 if x2 is None else x2
    sets = (x1,) if x2 is None else (x1, x2)
    largest = max(float(np.einsum("nhwc,nhwc->nhw", x, x).max()) for x in sets) / x1.shape[-1]
    chain, power, fits = in_range(plan.chain, plan.names, largest)
    gain, shift = plan.readout.squares(plan.names[-1])
    if drop := taken_out(gain, 1.0, shift, power):
        power += drop
        fits = abs(power) < 500
    gain, shift = ldexp(gain, -drop), ldexp(shift, -power)

    def part(one: Any, two: Any, threads: int) -> dict[str, Any]:
        k, t = conv_kernel(one, two, chain, pooled=plan.pooled, ntk="ntk" in names, threads=threads)
        K = gain * k + shift
        found = {"nngp": K} if t is None else {"nngp": K, "ntk": K + gain * t}
        return {name: np.ldexp(found[name], power) if fits and power else found[name] for name in names}

    left = 0 if fits else power
    if targets is None:
        return part(x1, x2, threads), left
    _stream(lambda i, j, d: part(x1[i], None if d else other[j], 1), targets, x2 is None, memory, threads, 32.0)
    return targets, left


def _names(get: Any, stable: bool) -> tuple[str, ...]:
    asked = (get,) if isinstance(get, str) else tuple(get) if isinstance(get, Iterable) else ()
    known = [isinstance(name, str) and name in NAMES[:2] for name in asked]
    require(len(known) > 0 and all(known), "get", get, "'nngp', 'ntk' or both")
    return tuple(n for n in NAMES if n in asked or (stable and n.removesuffix("_sqdist") in asked))


def _threads(threads: int | None) -> int:
    if threads is None:
        return cores()
    require_integer(threads, "threads", 1, 4096, "in [1, 4096]")
    return int(threads)


def _floats(x: Any, name: str) -> Any:
    """Real numbers as a contiguous array of float64, on the device where they live there."""
    xp = namespace_of(x)
    if xp is not np:
        require(np.dtype(x.dtype).kind in "biuf", f"the dtype of {name}", str(x.dtype), "that of real numbers")
        return xp.ascontiguousarray(x, dtype=float)
    if isinstance(x, Mapping | Set):
        raise ValueError(f"{name} must be an array, got a {type(x).__name__}")
    if np.ma.is_masked(x):
        raise ValueError(f"{name} must have no masked entries")
    x = x if callable(values := getattr(x, "values", x)) else values
    if isinstance(x, np.ndarray) and x.dtype == object:  # columns of a table that differ in their type
        x = x.tolist()
    return np.ascontiguousarray(x if isinstance(x, np.ndarray) and x.dtype == float else real_array(x, name))


def check_inputs(x1: Any, x2: Any) -> tuple[Any, Any]:
    """Both sets as arrays of one kind; ``x2`` may be None."""
    x1, x2 = check_input(x1, "x1"), None if x2 is None else check_input(x2, "x2")
    if x2 is not None and namespace_of(x1) is not namespace_of(x2):
        raise ValueError("x1 and x2 must both be host arrays, or both CuPy arrays")
    if x2 is not None and x1.shape[1:] != x2.shape[1:]:
        raise ValueError(f"x2 must have inputs of shape {x1.shape[1:]} as x1 has, got {x2.shape[1:]}")
    return x1, x2


def check_input(x: Any, name: str) -> Any:
    """A finite floating-point array (n, d) or (n, height, width, channels)."""
    x = _floats(x, name)
    xp = namespace_of(x)
    if x.ndim not in (2, 4) or 0 in x.shape:
        raise ValueError(f"{name} must be (n, d) or (n, height, width, channels) and not empty, got shape {x.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        square = xp.einsum("i,i->", x.ravel(), x.ravel())  # in this thread: those of BLAS would spin on
    if not xp.isfinite(square):
        require(np.isfinite(to_host(x)), name, to_host(x), "finite")
        raise ValueError(f"{name} must have finite squares, got entries up to {float(abs(x).max())}")
    return x


def _depths(depths: Any, L: int) -> tuple[int, ...]:
    if depths is None:
        return (L,)
    require(isinstance(depths, Iterable) and not isinstance(depths, str), "depths", depths, "a list of integers")
    found = tuple(depths)
    for depth in found:
        require_integer(depth, "depths", 1, L, f"in [1, {L}], the hidden layers of the network")
    if not found:
        raise ValueError("depths must name a number of hidden layers at least, got none")
    if list(found) != sorted(set(found)):
        raise ValueError(f"depths must increase, got {list(found)}")
    return tuple(int(depth) for depth in found)


def _targets(out: Any, names: Sequence[str], shape: tuple[int, ...]) -> Mapping[str, Any] | None:
    """What is written to, by name, of the right shapes."""
    if out is None:
        return None
    targets = out if isinstance(out, Mapping) else {names[0]: out}
    if set(targets) != set(names):
        raise ValueError(f"out must have {', '.join(names)}, got {', '.join(map(str, targets))}")
    for name in names:
        _check_target(targets[name], f"out[{name!r}]", shape)
    for one, two in combinations(names, 2):
        a, b = targets[one], targets[two]
        if a is b or (isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.shares_memory(a, b)):
            raise ValueError(f"out must have an array for each name, got the same for {one!r} and {two!r}")
    return {name: targets[name] for name in names}


def _check_target(target: Any, name: str, shape: tuple[int, ...]) -> None:
    """An array of floats of 4 or 8 bytes that can be written to."""
    require(hasattr(target, "shape") and hasattr(target, "__setitem__"), name, target, "an array that takes slices")
    if tuple(target.shape) != shape:
        raise ValueError(f"{name} must have shape {shape}, got {tuple(target.shape)}")
    dtype = np.dtype(getattr(target, "dtype", float))
    if dtype.kind != "f" or dtype.itemsize not in (4, 8):
        raise ValueError(f"{name} must hold floats of 4 or 8 bytes, got {dtype}")
    if not getattr(getattr(target, "flags", None), "writeable", True) or getattr(target, "read_only", False):
        raise ValueError(f"{name} must be writeable, got an array that is read-only")


def _other(net: Network) -> str:
    return " -> ".join(layer.title for layer in net.layers)


def _pair(
    arrays: Mapping[str, Any], names: Sequence[str], depths: Sequence[int] | None, targets: Mapping[str, Any] | None,
    scale: Any, error: float,
) -> Pair:  # fmt: skip
    """Labelled arrays, or what was written to."""
    if targets is not None:
        return Pair(**targets, log_scale=scale, quadrature_error=error)
    dims = ("x1", "x2") if depths is None else ("depth", "x1", "x2")
    coords = {} if depths is None else {"depth": list(depths)}

    def label(array: Any) -> xr.DataArray:
        return xr.DataArray(array if depths is not None or array.ndim == 2 else array[0], dims=dims, coords=coords)

    return Pair(**{name: label(arrays[name]) for name in names}, log_scale=scale, quadrature_error=error)
