"""32 lanes of whatever integers an array holds, int16 or int32, so that a kernel is written once for both.

Inside Numba alone: each name picks the operation of ``simd`` by the type of its first argument.
"""

from typing import Any

from numba import types
from numba.extending import intrinsic, overload

from .simd import H, W, convert, make

L = make(types.int32, 32)
_PAIRS = make(types.int64, 16)
_OF = {types.int16: H, types.int32: L}
_widen = convert(H, L, "sext")
_as_pairs, _as_words = convert(L, _PAIRS, "bitcast"), convert(H, W, "bitcast")
_low_words = convert(_PAIRS, W, "trunc")
_splat_word, _splat_pair = W.splat, _PAIRS.splat


def load(array: Any, at: Any) -> Any:
    """32 lanes from a flat offset of a C array."""


def store(array: Any, at: Any, v: Any) -> None:
    """Write 32 lanes."""


def splat(array: Any, x: Any) -> Any:
    """32 equal lanes of the type of ``array``, x modulo its width."""


def mask_add(total: Any, v: Any, mask: Any) -> Any:
    """``total`` plus the lanes of v that the bits of the uint64 ``mask`` choose."""


def popcount(v: Any) -> Any:
    """The ones of every lane."""


def le_bits(x: Any, y: Any) -> Any:
    """Where x <= y, as bits."""


def wide(v: Any) -> Any:
    """The lanes as int32."""


def halves(v: Any) -> Any:
    """Sums of two lanes each, 16 of int32."""


@overload(load, strict=False)
def _load(array: Any, at: Any) -> Any:
    chosen = _OF[array.dtype].load
    return lambda array, at: chosen(array, at)


@overload(store, strict=False)
def _store(array: Any, at: Any, v: Any) -> Any:
    chosen = _OF[array.dtype].store
    return lambda array, at, v: chosen(array, at, v)


@overload(splat, strict=False)
def _splat(array: Any, x: Any) -> Any:
    chosen, elem = _OF[array.dtype].splat, array.dtype
    return lambda array, x: chosen(elem(x))


@overload(mask_add, strict=False)
def _mask_add(total: Any, v: Any, mask: Any) -> Any:
    chosen = _OF[total.elem].mask_add
    return lambda total, v, mask: chosen(total, v, mask)


@overload(popcount, strict=False)
def _popcount(v: Any) -> Any:
    chosen = _OF[v.elem].popcount
    return lambda v: chosen(v)


@overload(le_bits, strict=False)
def _le_bits(x: Any, y: Any) -> Any:
    chosen = _OF[x.elem].le_bits
    return lambda x, y: chosen(x, y)


@overload(wide, strict=False)
def _wide(v: Any) -> Any:
    return (lambda v: v) if v.elem == types.int32 else (lambda v: _widen(v))


@overload(halves, strict=False)
def _halves(v: Any) -> Any:
    if v.elem == types.int32:
        return lambda v: _low_words(_as_pairs(v) + (_as_pairs(v) >> _splat_pair(32)))

    def implementation(v: Any) -> Any:
        both, half = _as_words(v), _splat_word(16)
        return ((both << half) >> half) + (both >> half)

    return implementation


def _item(typing: Any, array: Any, at: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.load(builder.gep(data, [args[1]]))

    return array.dtype(array, types.intp), code


item: Any = intrinsic(_item)
"""``item(array, at)``, one entry at a flat offset: a plain load, where an index is first tried for being negative."""
