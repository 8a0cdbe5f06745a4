r"""The CUDA source of a fully connected network, its averages from the table in ``expressions``.

One thread carries one pair of inputs through all layers, in registers:

    k <- sigma_w^2 V(q, k, q') + sigma_b^2,      t <- k + sigma_w^2 V'(q, k, q') t.
"""

import ast
from functools import lru_cache

from .expressions import DUALS, Dual, in_c

NAME = "connected"
EDGE = 16
"""Of the square of pairs of one block: its rows and its mirror image are whole sectors of memory."""
THREADS = EDGE * EDGE
ROOM = max(len(dual.parameters) for dual in DUALS.values())
LAW = 3 + ROOM
"""Numbers of a layer: code, sigma_w^2, sigma_b^2, parameters of the activation"""

_KERNEL = f"""
extern "C" __global__ void __launch_bounds__({THREADS})
{NAME}(const double* __restrict__ gram,  // (rows, columns): x.x'
          const double* __restrict__ laws,  // (L + 1, {LAW}): code, sigma_w^2 (first: / d), sigma_b^2, parameters
          const double* __restrict__ q1, const double* __restrict__ q2,  // (L + 1, n1), (L + 1, n2): variances
          const double* __restrict__ own,  // (n1): the diagonal of the NTK at the end
          double* __restrict__ nngp, double* __restrict__ ntk,  // (rows, columns), 0 where not asked for
          int L, int n1, int n2, int row, int column, int rows, int columns,
          int lower) {{  // of a symmetric kernel: j <= i, mirrored, the diagonal from the tables
  const int wide = (columns + {EDGE - 1}) / {EDGE};
  const int i = (int)blockIdx.x / wide * {EDGE} + (int)threadIdx.x / {EDGE};
  const int j = (int)blockIdx.x % wide * {EDGE} + (int)threadIdx.x % {EDGE};
  if (i >= rows || j >= columns || (lower && j > i)) return;
  const long long at = (long long)i * columns + j, mirrored = (long long)j * columns + i;
  double k = laws[1] * gram[at] + laws[2], t = k;
  for (int layer = 0; layer < L; ++layer) {{
    const double* law = laws + (layer + 1) * {LAW};
    const double a = q1[(long long)layer * n1 + row + i], b = q2[(long long)layer * n2 + column + j];
    double V, slope;
    average((int)law[0], a, k, b, law + 3, &V, &slope);
    k = law[1] * V + law[2];
    t = k + law[1] * slope * t;
  }}
  if (lower && i == j) {{
    k = q1[(long long)L * n1 + row + i];
    t = own[row + i];
  }}
  if (nngp) {{
    nngp[at] = k;
    if (lower) nngp[mirrored] = k;
  }}
  if (ntk) {{
    ntk[at] = t;
    if (lower) ntk[mirrored] = t;
  }}
}}
"""


@lru_cache
def source(entries: tuple[str, ...]) -> str:
    """The text for activations of these entries of the table; the code of one is its place.

    >>> print(source(("exponential",)))  # doctest: +ELLIPSIS
    static __device__ __forceinline__ void dual_exponential(double a, double k, double b, const double* parameters,
                                                            double* average, double* slope) {
      const double c = parameters[0];
      const double value = exp(((c * c) * (((a + b) / 2.0) + k)));
      *average = value;
      *slope = ((c * c) * value);
    }
    ...
    """
    duals = "\n".join(_dual(name, DUALS[name]) for name in entries)
    return f"{duals}\n{_choice(entries)}{_KERNEL}"


def _dual(name: str, dual: Dual) -> str:
    """One entry as a function; what V and V' do not need is left out."""
    head = f"static __device__ __forceinline__ void dual_{name}("
    used = _names(dual.V) | _names(dual.slope)
    steps: list[str] = []
    for left, right in reversed(dual.steps):
        if left in used:
            steps.insert(0, f"  const double {left} = {in_c(right)};\n")
            used |= _names(right)
    given = ["  const double pi = 3.141592653589793;\n"] if "pi" in used else []
    given += [f"  const double {p} = parameters[{i}];\n" for i, p in enumerate(dual.parameters) if p in used]
    return (
        f"{head}double a, double k, double b, const double* parameters,\n"
        f"{' ' * len(head)}double* average, double* slope) {{\n{''.join(given + steps)}"
        f"  *average = {in_c(dual.V)};\n  *slope = {in_c(dual.slope)};\n}}\n"
    )


def _names(text: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Name)}


def _choice(entries: tuple[str, ...]) -> str:
    """The function of a code; the last one without a question."""
    cases = "".join(
        f"    {f'case {code}' if code < len(entries) - 1 else 'default'}:\n"
        f"      return dual_{name}(a, k, b, parameters, V, slope);\n"
        for code, name in enumerate(entries)
    )
    return (
        "static __device__ __forceinline__ void average(int code, double a, double k, double b,\n"
        "                                               const double* parameters, double* V, double* slope) {\n"
        f"  switch (code) {{\n{cases}  }}\n}}\n"
    )
