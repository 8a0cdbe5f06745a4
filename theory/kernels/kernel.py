"""How the kernel of a network is computed: compiled loops where there are any, else layer by layer on tiles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ldexp, log
from typing import Any

import numpy as np
import xarray as xr

from ...core.backend import cores, namespace_of, to_host
from ...core.errors import require, require_integer
from ...core.memory import require_memory
from .chain import Chain
from .connected import Tile, connected_kernel, connected_tile, tile_bytes
from .conv_pairs import conv_kernel
from .conv_scale import in_range
from .gpu import device_tile
from .layered import bytes_per_pair, layered_tile
from .network import Network
from .plan import Convolution, chain_of, convolution_of
from .tiles import announce, edge_of, fill

NAMES = ("nngp", "ntk", "nngp_sqdist", "ntk_sqdist")


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
    names, threads = _names(get, stable), _threads(threads)
    require(np.isfinite(memory) and memory > 0, "memory", memory, "bytes > 0")
    x1, x2 = check_inputs(x1, x2)
    chain = None if namespace_of(x1) is not np else chain_of(net, x1.ndim == 4)
    if chain is None and (stable or depths is not None):
        asked = "stable=True" if stable else "depths"
        raise ValueError(f"{asked} is for host arrays and Dense layers with ABRelu or Erf units only: {_other(net)}")
    shape = (len(x1), len(x1 if x2 is None else x2))
    if chain is not None:
        flat1, flat2 = (None if x is None else x.reshape(len(x), -1) for x in (x1, x2))
        steps = _depths(depths, len(chain.activations))
        targets = _targets(out, names, shape if depths is None else (len(steps), *shape))
        arrays, exponents = _connected(flat1, flat2, chain, steps, targets, names, memory, threads)
        scale: Any = np.array(exponents) * log(2) if depths is not None else exponents[0] * log(2)
        return _pair(arrays, names, depths, targets, scale, 0.0)
    targets = _targets(out, names, shape)
    arrays, power, error = _tiled(net, x1, x2, names, targets, memory, threads)
    return _pair(arrays, names, None, targets, power * log(2), error)


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


def _stream(tile: Tile, targets: Mapping[str, Any], symmetric: bool, memory: float, threads: int, each: float) -> None:
    edge = edge_of(memory, threads, each, 1024)
    announce(targets, edge, threads, each)
    fill(tile, targets, symmetric, edge, threads)


def _tiled(
    net: Network, x1: Any, x2: Any, names: Sequence[str], targets: Mapping[str, Any] | None, memory: float, threads: int
) -> tuple[Mapping[str, Any], int, float]:  # fmt: skip
    """Layer by layer, or compiled convolutions; the kernels over a power of two, and the error of activations."""
    xp, ntk, other, shape = namespace_of(x1), "ntk" in names, x1 if x2 is None else x2, x1.shape[1:]
    if targets is None and xp is np:
        size = 8.0 * len(x1) * len(other) * len(names)
        require_memory(size, f"kernels of {len(x1)} x {len(other)} inputs", "out= a memmap, or fewer inputs")
    convolution = convolution_of(net) if xp is np and x1.ndim == 4 else None
    if convolution is not None:
        return *_convolutions(convolution, x1, x2, names, targets, memory, threads), 0.0
    fused, errors = None if xp is np else device_tile(net, x1, x2, names), [0.0]
    each = bytes_per_pair(net, shape) if fused is None else tile_bytes(1, names)
    threads = threads if xp is np else 1

    def tile(rows: slice, columns: slice, diagonal: bool) -> dict[str, Any]:
        if fused is not None:
            return fused(rows, columns, diagonal)
        found, error = layered_tile(net, x1[rows], other[columns], diagonal, ntk)
        errors.append(error)
        return {name: found[name] for name in names}

    if targets is not None:
        _stream(tile, targets, x2 is None, memory, threads, each)
        return targets, 0, max(errors)
    arrays = {name: xp.empty((len(x1), len(other))) for name in names}
    edge = edge_of(memory, threads, each, 256 if xp is np else 4096)
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
    gain, shift = plan.readout.sigma_w**2, ldexp(plan.readout.sigma_b**2, -power)

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


def _names(get: str | Sequence[str], stable: bool) -> tuple[str, ...]:
    asked = (get,) if isinstance(get, str) else tuple(get)
    if not asked or any(name not in NAMES[:2] for name in asked):
        raise ValueError(f"get must be 'nngp', 'ntk' or both, got {get!r}")
    return tuple(n for n in NAMES if n in asked or (stable and n.removesuffix("_sqdist") in asked))


def _threads(threads: int | None) -> int:
    if threads is None:
        return cores()
    require_integer(threads, "threads", 1, 4096, "in [1, 4096]")
    return int(threads)


def check_inputs(x1: Any, x2: Any) -> tuple[Any, Any]:
    """Finite floating-point arrays (n, d) or (n, height, width, channels) of one kind."""
    found: list[Any] = []
    for name, x in (("x1", x1), ("x2", x2)):
        if x is None:
            found.append(None)
            continue
        xp = namespace_of(x)
        x = xp.ascontiguousarray(getattr(x, "values", x), dtype=float)
        if x.ndim not in (2, 4) or 0 in x.shape:
            raise ValueError(
                f"{name} must be (n, d) or (n, height, width, channels) and not empty, got shape {x.shape}"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            square = xp.einsum("i,i->", x.ravel(), x.ravel())  # in this thread: those of BLAS would spin on
        if not xp.isfinite(square):
            require(np.isfinite(to_host(x)), name, to_host(x), "finite")
            raise ValueError(f"{name} must have finite squares, got entries up to {float(abs(x).max())}")
        found.append(x)
    if found[1] is not None and namespace_of(found[0]) is not namespace_of(found[1]):
        raise ValueError("x1 and x2 must both be host arrays, or both CuPy arrays")
    if found[1] is not None and found[0].shape[1:] != found[1].shape[1:]:
        raise ValueError(f"x2 must have inputs of shape {found[0].shape[1:]} as x1 has, got {found[1].shape[1:]}")
    return found[0], found[1]


def _depths(depths: Sequence[int] | None, L: int) -> tuple[int, ...]:
    if depths is None:
        return (L,)
    for depth in depths:
        require_integer(depth, "depths", 1, L, f"in [1, {L}], the hidden layers of the network")
    if len(depths) == 0 or list(depths) != sorted(set(depths)):
        raise ValueError(f"depths must increase, got {list(depths)}")
    return tuple(int(depth) for depth in depths)


def _targets(out: Any, names: Sequence[str], shape: tuple[int, ...]) -> Mapping[str, Any] | None:
    """What is written to, by name, of the right shapes."""
    if out is None:
        return None
    targets = out if isinstance(out, Mapping) else {names[0]: out}
    if set(targets) != set(names):
        raise ValueError(f"out must have {', '.join(names)}, got {', '.join(targets)}")
    for name in names:
        if tuple(targets[name].shape) != shape:
            raise ValueError(f"out[{name!r}] must have shape {shape}, got {tuple(targets[name].shape)}")
    return {name: targets[name] for name in names}


def _other(net: Network) -> str:
    return " -> ".join(type(layer).__name__ for layer in net.layers)


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
