"""Vectors of small integers as values inside Numba: one LLVM vector, which becomes the registers of any processor.

Plain loops over arrays reach a fifth of this: the checks for overlapping arrays keep LLVM from vectorising them.
``make`` gives the operations of one vector type as names of a class; sums, differences and products are the
operators. Masks are bits of a uint64, lane 0 lowest. Loads and stores take a flat offset into a C array.
"""

import operator
from collections.abc import Sequence
from typing import Any

import llvmlite.ir as ir
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model
from numpy.typing import NDArray


class Vector(types.Type):
    """The Numba type of ``n`` lanes of ``elem``."""

    def __init__(self, elem: Any, n: int) -> None:
        self.elem, self.n = elem, n
        super().__init__(f"Vector({elem} x {n})")


def _llvm(elem: Any) -> Any:
    bits: int = elem.bitwidth
    if isinstance(elem, types.Integer):
        return ir.IntType(bits)
    return ir.FloatType() if bits == 32 else ir.DoubleType()


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: Vector) -> None:
        super().__init__(manager, vector, ir.VectorType(_llvm(vector.elem), vector.n))  # type: ignore[no-untyped-call]


def _address(context: Any, builder: Any, array_type: Any, array: Any, offset: Any, vector: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), vector.as_pointer())


def _mask(builder: Any, bits: Any, n: int) -> Any:
    """The lowest n bits of a uint64 as a vector of booleans."""
    return builder.bitcast(builder.trunc(bits, ir.IntType(n)), ir.VectorType(ir.IntType(1), n))


def _memory(V: Vector) -> dict[str, Any]:
    align = V.elem.bitwidth // 8

    def load(typing: Any, array: Any, offset: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            at = _address(context, builder, signature.args[0], args[0], args[1], context.get_value_type(V))
            value = builder.load(at)
            value.align = align
            return value

        return V(array, types.intp), code

    def store(typing: Any, array: Any, offset: Any, v: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            at = _address(context, builder, signature.args[0], args[0], args[1], context.get_value_type(V))
            builder.store(args[2], at).align = align
            return context.get_dummy_value()

        return types.none(array, types.intp, V), code

    def splat(typing: Any, x: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            empty = ir.Constant(context.get_value_type(V), ir.Undefined)
            first = builder.insert_element(empty, args[0], ir.Constant(ir.IntType(32), 0))
            return builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(ir.IntType(32), V.n), [0] * V.n))

        return V(V.elem), code

    return {"load": intrinsic(load), "store": intrinsic(store), "splat": intrinsic(splat)}


def _masks(V: Vector) -> dict[str, Any]:
    real = isinstance(V.elem, types.Float)

    def le_bits(typing: Any, x: Any, y: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            compare = builder.fcmp_ordered if real else builder.icmp_signed
            return builder.zext(builder.bitcast(compare("<=", *args), ir.IntType(V.n)), ir.IntType(64))

        return types.uint64(V, V), code

    def select_bits(typing: Any, bits: Any, yes: Any, no: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.select(_mask(builder, args[0], V.n), args[1], args[2])

        return V(types.uint64, V, V), code

    def mask_add(typing: Any, total: Any, v: Any, bits: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            zero = ir.Constant(context.get_value_type(V), None)
            chosen = builder.select(_mask(builder, args[2], V.n), args[1], zero)
            return builder.fadd(args[0], chosen) if real else builder.add(args[0], chosen)

        return V(V, V, types.uint64), code

    return {"le_bits": intrinsic(le_bits), "select_bits": intrinsic(select_bits), "mask_add": intrinsic(mask_add)}


def _reduced(V: Vector, name: str, result: Any) -> Any:
    """The intrinsic function of LLVM from a vector to ``result``."""

    def apply(typing: Any, v: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kind = ir.FunctionType(context.get_value_type(result), [context.get_value_type(V)])
            whole = f"llvm.{name}.v{V.n}{'f' if isinstance(V.elem, types.Float) else 'i'}{V.elem.bitwidth}"
            function = cgutils.get_or_insert_function(builder.module, kind, whole)  # type: ignore[no-untyped-call]
            return builder.call(function, args)

        return result(V), code

    return intrinsic(apply)


def _reals(V: Vector) -> dict[str, Any]:
    def chosen(symbol: str) -> Any:
        def choose(typing: Any, x: Any, y: Any) -> Any:
            def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                return builder.select(builder.fcmp_ordered(symbol, *args), *args)

            return V(V, V), code

        return intrinsic(choose)

    return {"smaller": chosen("<"), "larger": chosen(">"), "floor": _reduced(V, "floor", V)}


def _counts(V: Vector) -> dict[str, Any]:
    def neighbours(typing: Any, x: Any, y: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            index = ir.VectorType(ir.IntType(32), V.n)
            even, odd = (ir.Constant(index, [2 * lane + at for lane in range(V.n)]) for at in (0, 1))
            return builder.add(*(builder.shuffle_vector(*args, at) for at in (even, odd)))

        return V(V, V), code

    def ramp(typing: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return ir.Constant(context.get_value_type(V), list(range(V.n)))

        return V(), code

    summed, ones = _reduced(V, "vector.reduce.add", V.elem), _reduced(V, "ctpop", V)
    return {"hsum": summed, "popcount": ones, "neighbours": intrinsic(neighbours), "ramp": intrinsic(ramp)}


def _operator(V: Vector, symbol: Any, instruction: str) -> None:
    def apply(typing: Any, x: Any, y: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, instruction)(*args)

        return V(V, V), code

    applied: Any = intrinsic(apply)

    def implementation(x: Any, y: Any) -> Any:
        return applied(x, y)

    @overload(symbol)
    def overloaded(x: Any, y: Any) -> Any:
        return implementation if x == V and y == V else None


def make(elem: Any, n: int) -> Any:
    """The operations of vectors of ``n`` lanes of the Numba type ``elem``.

    ``load(array, offset)``, ``store(array, offset, v)``, ``splat(x)``, ``le_bits(x, y)`` (a mask),
    ``select_bits(mask, yes, no)``, ``mask_add(total, v, mask)``; for floats ``smaller(x, y)``, ``larger(x, y)``,
    ``floor(v)`` and ``/``; for integers ``hsum(v)`` (modulo the width), ``popcount(v)`` lane by lane, ``ramp()``, that
    is (0, 1, ...), ``neighbours(x, y)``, that is (x0 + x1, x2 + x3, ..., y0 + y1, ...), and the operators
    ``^ & << >>`` (to the right, signed lanes keep their sign).
    """
    V = Vector(elem, n)
    real = isinstance(elem, types.Float)
    for symbol, name in ((operator.add, "add"), (operator.sub, "sub"), (operator.mul, "mul")):
        _operator(V, symbol, "f" + name if real else name)
    if real:
        _operator(V, operator.truediv, "fdiv")
    else:
        _operator(V, operator.xor, "xor")
        _operator(V, operator.and_, "and_")
        _operator(V, operator.lshift, "shl")
        _operator(V, operator.rshift, "ashr" if elem.signed else "lshr")
    operations = {"T": V, "n": n} | _memory(V) | _masks(V) | (_reals(V) if real else _counts(V))
    return type(f"Vectors of {n} {elem}", (), operations)


def convert(source: Any, target: Any, instruction: str) -> Any:
    """The lane-wise conversion between two classes of ``make``: "sext", "trunc", "sitofp", "fptosi", "bitcast", ..."""

    def change(typing: Any, v: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, instruction)(args[0], context.get_value_type(target.T))

        return target.T(source.T), code

    return intrinsic(change)


def pick(source: Any, target: Any, at: Sequence[int]) -> Any:
    """The elements ``at`` of x followed by y, two vectors of ``source`` read as elements of ``target``."""

    def picked(typing: Any, x: Any, y: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            result = context.get_value_type(target.T)
            n = source.n * source.T.elem.bitwidth // target.T.elem.bitwidth
            views = [builder.bitcast(v, ir.VectorType(result.element, n)) for v in args]
            return builder.shuffle_vector(*views, ir.Constant(ir.VectorType(ir.IntType(32), len(at)), list(at)))

        return target.T(source.T, source.T), code

    return intrinsic(picked)


def _popcount(typing: Any, x: Any) -> Any:
    return types.uint64(types.uint64), lambda context, builder, signature, args: builder.ctpop(args[0])


def _trailing(typing: Any, x: Any) -> Any:
    return types.int64(types.uint64), lambda context, builder, signature, args: builder.cttz(
        args[0], ir.Constant(ir.IntType(1), 0)
    )


popcount: Any = intrinsic(_popcount)
lowest_bit: Any = intrinsic(_trailing)

H = make(types.int16, 32)
W = make(types.int32, 16)


def _pairs(typing: Any, x: Any, y: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide, half = (ir.VectorType(ir.IntType(32), 2 * W.n), ir.VectorType(ir.IntType(32), W.n))
        product = builder.mul(builder.sext(args[0], wide), builder.sext(args[1], wide))
        even, odd = (ir.Constant(half, [2 * k + at for k in range(W.n)]) for at in (0, 1))
        return builder.add(*(builder.shuffle_vector(product, product, at) for at in (even, odd)))

    return W.T(H.T, H.T), code


pairs: Any = intrinsic(_pairs)
"""``x[2k] y[2k] + x[2k+1] y[2k+1]`` of two H as a W, modulo 2^32: one instruction where there is one."""


def _high_half(typing: Any, x: Any, y: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide = ir.VectorType(ir.IntType(32), H.n)
        product = builder.mul(builder.sext(args[0], wide), builder.sext(args[1], wide))
        shift = ir.Constant(wide, [16] * H.n)
        return builder.trunc(builder.ashr(product, shift), context.get_value_type(H.T))

    return H.T(H.T, H.T), code


high_half: Any = intrinsic(_high_half)
"""The upper 16 bits of the products of two H."""


def aligned(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Zeros that begin on a cache line: unaligned vectors of 64 bytes read at two thirds of the speed.

    >>> aligned((2, 128), np.int16).ctypes.data % 64
    0
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + 64, np.uint8)
    at = -memory.ctypes.data % 64
    return memory[at : at + size].view(dtype).reshape(shape)
