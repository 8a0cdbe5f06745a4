r"""The Gaussian averages of two units in closed form, one table for NumPy, CuPy and CUDA.

With (u, v) normal of covariance [[a, k], [k, b]],

    V = E[phi(u) phi(v)],    slope = dV/dk = E[phi'(u) phi'(v)],    V_a = dV/da = E[phi''(u) phi(v)]/2;

of sign(u), whose phi' is zero but for the jump, the slope is zero as in the NTK, and dV/dk is not.

Each entry is written once, in Python's grammar, with ``where(condition, x, y)`` for a choice. Coincident inputs
(1 - rho^2 < 2e-14) get the angle 0 or pi, never the root of a rounding error; the same for determinants, whose term
a b - k^2 is left out where it is within rounding.
"""

import ast
from collections.abc import Callable
from functools import lru_cache
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import numpy as np


class Dual(NamedTuple):
    """Averages of one family of activations."""

    parameters: tuple[str, ...]
    steps: tuple[tuple[str, str], ...]
    """Intermediate results, in order"""
    V: str
    slope: str
    V_a: str
    V_k: str = ""
    """dV/dk where phi jumps and it is not the slope E[phi'(u) phi'(v)]"""


_ANGLE = (
    ("root", "sqrt(a) * sqrt(b)"),
    ("r", "where(root > 0, k / where(root > 0, root, 1.0 + root), 0.0 * k)"),
    ("c2", "(1 - r) * (1 + r)"),
    ("sine", "sqrt(where(c2 > 2e-14, c2, 0.0))"),
    ("s", "root * sine"),
    ("theta", "atan2(sine, r)"),
    ("over_a", "where(a > 0, 1 / where(a > 0, a, 1.0 + a), 0.0 * a)"),
)
_ODD = ("odd", "where(k > 0, -near, near)")
"""A difference of exponentials that keeps its digits as k -> 0."""
_DETERMINANT = ("D", "where(full - least > 4e-15 * P, full, least)")
"""Of P - k^2 and the like, at least what it is for coincident inputs."""
_DECAY = (
    ("P", "(1 + 2 * c * a) * (1 + 2 * c * b)"),
    ("least", "1 + 2 * c * (a + b)"),
    ("full", "P - 4 * c * c * k * k"),
    _DETERMINANT,
    ("D_a", "2 * c * (1 + 2 * c * b)"),
)

DUALS: dict[str, Dual] = {
    "abrelu": Dual(
        ("al", "be"),
        (*_ANGLE, ("C", "(al - be) * (al - be) / (2 * pi)"), ("W", "(al * al + be * be) / 2 - C * theta")),
        V="C * s + W * k",
        slope="W",
        V_a="C * s * over_a / 2",
    ),
    "erf": Dual(
        ("A", "B", "c"),
        (
            ("g", "2 * B * B"),
            ("h", "1 / sqrt(1 + g * a) / sqrt(1 + g * b)"),
            ("r", "g * k * h"),
            ("least", "(1 + g * a + g * b) * h * h"),
            ("full", "(1 - r) * (1 + r)"),
            ("w", "sqrt(where(full - least > 4e-15, full, least))"),
        ),
        V="A * A * 2 / pi * atan2(r, w) + c * c",
        slope="A * A * 2 / pi * g * h / w",
        V_a="-A * A / pi * g * r / ((1 + g * a) * w)",
    ),
    "gelu": Dual(
        (),
        (
            ("P", "(1 + a) * (1 + b)"),
            ("least", "1 + a + b"),
            ("full", "P - k * k"),
            _DETERMINANT,
            ("w", "sqrt(D)"),
            ("top", "k * k + a * b * D"),
            ("arc", "atan2(k, w)"),
            ("e", "D - least"),
            ("over", "1 / (4 * pi * (1 + a) * (1 + a))"),
        ),
        V="k / 4 + (top / (P * w) + k * arc) / (2 * pi)",
        slope="1 / 4 + arc / (2 * pi) + (1 / D + (2 + a + b) / P) * k / (2 * pi * w)",
        V_a="(b * (a - a * a + 2 * b + 2) + e * (a * (a + b) + 5 * (a + b) + 4 + (a + 3) * e)) * over / (D * w)",
    ),
    "sine": Dual(
        ("A", "w", "phase"),
        (
            ("m", "where(k > 0, k, -k)"),
            ("near", "exp(-w * w * ((a + b) / 2 - m)) * expm1(-2 * w * w * m)"),
            _ODD,
            ("even", "2 * exp(-w * w * ((a + b) / 2 + k))"),
        ),
        V="A * A / 2 * (odd + sin(phase) * sin(phase) * even)",
        slope="A * A * w * w / 2 * (odd + cos(phase) * cos(phase) * even)",
        V_a="-A * A * w * w / 4 * (odd + sin(phase) * sin(phase) * even)",
    ),
    "exponential": Dual(
        ("c",),
        (("value", "exp(c * c * ((a + b) / 2 + k))"),),
        V="value",
        slope="c * c * value",
        V_a="c * c / 2 * value",
    ),
    "gaussian": Dual(
        ("c",),
        (*_DECAY, ("r", "1 / sqrt(D)")),
        V="r",
        slope="4 * c * c * k * r / D",
        V_a="-D_a / 2 * r / D",
    ),
    "gabor": Dual(
        ("c",),
        (
            *_DECAY,
            ("S", "((a + b) / 2 + 2 * c * (a * b - k * k)) / D"),
            ("S_k", "(-4 * c * k + 8 * c * c * k * S) / D"),
            ("S_a", "(0.5 + 2 * c * b - S * D_a) / D"),
            ("t", "k / D"),
            ("r", "1 / sqrt(D)"),
            ("m", "where(k > 0, t, -t)"),
            ("near", "r * exp(m - S) * expm1(-2 * m) / 2"),
            _ODD,
            ("even", "r * (exp(t - S) + exp(-t - S)) / 2"),
        ),
        V="odd",
        slope="odd * (4 * c * c * k / D - S_k) + even * (1 + 8 * c * c * k * t) / D",
        V_a="-odd * (D_a / (2 * D) + S_a) - even * k * D_a / (D * D)",
    ),
    "sign": Dual(
        (),
        (*_ANGLE, ("far", "where(s > 0, s, 1.0 + s)")),
        V="1 - 2 * theta / pi",
        slope="0.0 * k",
        V_a="where(s > 0, -k * over_a / (pi * far), 0.0 * k)",
        V_k="where(s > 0, 2 / (pi * far), 0.0 * k)",
    ),
    "rectified_square": Dual(
        (),
        (
            *_ANGLE,
            ("value", "(3 * s * k + (pi - theta) * (root * root + 2 * k * k)) / (2 * pi)"),
            ("rate", "2 * (s + (pi - theta) * k) / pi"),
        ),
        V="value",
        slope="rate",
        V_a="(value - k * rate / 2) * over_a",
    ),
}
_NAMES = {"atan2": "arctan2"}
_FUNCTIONS = ("sqrt", "exp", "expm1", "sin", "cos", "atan2", "where")


@lru_cache
def _compiled(name: str, derivative: bool) -> tuple[tuple[tuple[str, CodeType], ...], tuple[CodeType, ...]]:
    dual = DUALS[name]
    wanted = (dual.V, dual.V_k or dual.slope, dual.V_a) if derivative else (dual.V, dual.slope)
    return (
        tuple((left, compile(right, f"<{name}>", "eval")) for left, right in dual.steps),
        tuple(compile(text, f"<{name}>", "eval") for text in wanted),
    )


def averages(
    name: str, a: Any, k: Any, b: Any, parameters: tuple[float, ...], xp: ModuleType, *, derivative: bool = False
) -> Any:
    """(V, slope), or (V, dV/dk, V_a) if ``derivative``, of arrays that broadcast; dV/dk of equal signs is not given, 0.

    >>> V, slope = averages("abrelu", np.array(1.0), np.array(0.5), np.array(1.0), (0.0, 1.0), np)
    >>> float(V).__round__(12), float(slope).__round__(12)
    (0.304498890522, 0.333333333333)
    """
    names = {f: getattr(xp, _NAMES.get(f, f)) for f in _FUNCTIONS} | {"pi": np.pi, "a": a, "k": k, "b": b}
    names |= dict(zip(DUALS[name].parameters, parameters, strict=True))
    steps, wanted = _compiled(name, derivative)
    for left, code in steps:
        names[left] = eval(code, {"__builtins__": {}}, names)
    return tuple(eval(code, {"__builtins__": {}}, names) for code in wanted)


def in_c(text: str) -> str:
    """One expression in C.

    >>> in_c("where(s > 0, -k / 2, 0.0 * k)")
    '((s > 0.0) ? ((-k) / 2.0) : (0.0 * k))'
    """
    return _C[type(node := ast.parse(text, mode="eval").body)](node)


def _node(node: Any) -> str:
    return _C[type(node)](node)


def _call(node: Any) -> str:
    name, values = node.func.id, [_node(v) for v in node.args]
    return "({} ? {} : {})".format(*values) if name == "where" else f"{name}({', '.join(values)})"


_SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Gt: ">"}
_C: dict[type, Callable[[Any], str]] = {
    ast.BinOp: lambda n: f"({_node(n.left)} {_SIGNS[type(n.op)]} {_node(n.right)})",
    ast.UnaryOp: lambda n: f"(-{_node(n.operand)})",
    ast.Compare: lambda n: f"({_node(n.left)} {_SIGNS[type(n.ops[0])]} {_node(n.comparators[0])})",
    ast.Call: _call,
    ast.Name: lambda n: n.id,
    ast.Constant: lambda n: repr(float(n.value)),
}
