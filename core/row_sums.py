r"""Averages over the rows xi of diluted patterns and a Gaussian field, h = (xi . n + sd z)/T: one compiled pass.

The entries may carry Gaussian noise, eta = xi (1 + sqrt(rho) lambda): it joins the field, sd^2 = noise + rho sum n^2
xi^2, and its correlation with tanh h is Stein's lemma. Where sd = 0 a row is one point. At T = 0 a row whose field
vanishes is a tie: it adds nothing to E tanh, and the response of its patterns diverges.
"""

import math

import numpy as np

from .backend import Array
from .fused import FAST, Rule, one
from .jit import njit

SCALARS, VECTORS = 6, 4
"""Rows of ``scalars``: C, dC/d noise, E sech^4/T^2, T E ln 2cosh, E[ln 2cosh - h tanh], E tanh^2; and of ``vectors``:
E eta tanh, E xi tanh, dC/dn, E xi^2 sech^2/T."""
_TIE = 1e-12  # of the largest n: a field below it is a tie
_COLD = 1e-100  # below it the limit T = 0 is exact


@njit(error_model="numpy")
def _bare(rows: Array, n: Array, T: float, weight: Array, scalars: Array, vectors: Array, matrix: Array) -> None:
    """Sums over rows of a field that does not fluctuate."""
    cold, K = 1 / T, n.size
    for r in range(rows.shape[0]):
        mean, count = 0.0, 0
        for k in range(K):
            mean += rows[r, k] * n[k]
            count += rows[r, k] != 0.0
        h = mean * cold
        e = math.exp(-2 * abs(h))
        i = 1 / (1 + e)
        t, s2, log = math.copysign((1 - e) * i, h), 4 * e * i * i, math.log1p(e)
        w, C = weight[count], s2 * cold
        wt, wC, wC_mean = w * t, w * C, -2 * w * t * C * cold
        scalars[0] += wC
        scalars[1] += wC * (2 - 3 * s2) * cold * cold
        scalars[2] += wC * C
        scalars[3] += w * (abs(mean) + T * log)
        scalars[4] += w * (log + 2 * abs(h) * e * i)
        scalars[5] += w * t * t
        for k in range(K):
            x = rows[r, k]
            vectors[0, k] += x * wt
            vectors[2, k] += x * wC_mean
            vectors[3, k] += x * x * wC
            for j in range(k + 1):
                matrix[k, j] += x * wC * rows[r, j]
    for k in range(K):
        vectors[1, k] = vectors[0, k]
    scalars[0] += weight[0] * cold
    scalars[1] -= weight[0] * cold * cold * cold
    scalars[2] += weight[0] * cold * cold
    scalars[3] += weight[0] * T * math.log(2.0)
    scalars[4] += weight[0] * math.log(2.0)


@njit(error_model="numpy")
def _field(row: Array, n: Array, rho: float, noise: float) -> tuple[float, float]:
    """Mean and standard deviation of the field of a row."""
    mean, spread, largest = 0.0, 0.0, 0.0
    for k in range(n.size):
        mean += row[k] * n[k]
        spread += (row[k] * n[k]) ** 2
        largest = max(largest, abs(n[k]))
    return mean if abs(mean) > _TIE * largest else 0.0, math.sqrt(noise + rho * spread)


@njit(error_model="numpy")
def _add(w: float, row: Array, field: tuple[float, float, float, float], vectors: Array, matrix: Array) -> None:
    """Add a row of weight w to the vectors and to the lower half of the matrix E eta eta sech^2/T, entries bare."""
    t, C, C_mean = w * field[0], w * field[1], w * field[2]
    for k in range(row.size):
        x = row[k]
        if x == 0.0:
            continue
        if math.isinf(C):
            matrix[k, k] = vectors[3, k] = math.inf
            continue
        vectors[0, k] += x * t
        vectors[1, k] += x * t
        vectors[2, k] += x * C_mean
        vectors[3, k] += C
        for j in range(k + 1):
            matrix[k, j] += x * C * row[j]


@njit(error_model="numpy")
def _add_noisy(
    w: float, row: Array, n: Array, rho: float, field: tuple[float, float, float, float], vectors: Array, matrix: Array
) -> None:
    """What noise of the entries adds to that: eta = xi + the noise, by Stein's lemma."""
    C, C_mean, C_var = w * field[1], w * field[2], w * field[3]
    for k in range(row.size):
        x, width = row[k], rho * n[k]
        if x == 0.0 or math.isinf(C):
            continue
        matrix[k, k] += rho * C
        vectors[0, k] += width * C
        if width == 0.0:
            continue
        vectors[2, k] += 2 * width * C_var
        for j in range(row.size):
            cross = width * row[j] * C_mean
            matrix[k, j] += width * rho * n[j] * row[j] ** 2 * 2 * C_var if j <= k else 0.0
            matrix[max(k, j), min(k, j)] += cross * (2 if j == k else 1)


@njit(nogil=True, error_model="numpy")
def _fill(
    rows: Array, d: Array, n: Array, rho: Array, noise: Array, T: Array, rule: Rule, out: tuple[Array, Array, Array]
) -> None:
    """Fill (scalars, vectors, matrix), points first, with sums over the rows and the blank row."""
    K = rows.shape[1]
    buffer, blank, weight = np.empty(3 * rule[0].size), np.zeros(K), np.empty(K + 1)
    for p in range(d.size):
        scalars, vectors, matrix = out[0][p], out[1][p], out[2][p]
        for k in range(K + 1):
            weight[k] = (2 if k else 1) * d[p] ** (K - k) * ((1 - d[p]) / 2) ** k
        if rho[p] == 0.0 and noise[p] == 0.0 and T[p] > _COLD:
            _bare(rows, n[p], T[p], weight, scalars, vectors, matrix)
        else:
            for r in range(-1, rows.shape[0]):
                row = blank if r < 0 else rows[r]
                w = weight[np.count_nonzero(row)]
                if w == 0.0:
                    continue
                mean, sd = _field(row, n[p], rho[p], noise[p])
                found = one(mean, sd, T[p], rule, buffer)
                for j in range(5):
                    scalars[j] += w * found[1 if j == 0 else j + 2]
                scalars[5] += 0.0 if math.isinf(found[1]) else w * (1 - T[p] * found[1])
                _add(w, row, found[:4], vectors, matrix)
                if rho[p] > 0.0:
                    _add_noisy(w, row, n[p], rho[p], found[:4], vectors, matrix)
        for k in range(K):
            for j in range(k):
                matrix[j, k] = matrix[k, j]


def row_sums(
    rows: Array, d: Array, n: Array, rho: Array, noise: Array, T: Array, rule: Rule = FAST
) -> tuple[Array, Array, Array]:
    """(scalars (6, points), vectors (4, K, points), matrix (K, K, points)), see SCALARS; n (K, points).

    >>> one_pattern, at = np.ones((1, 1)), np.array([0.5])
    >>> scalars, vectors, matrix = row_sums(one_pattern, 0 * at, at[None], 0 * at, 0 * at, at)
    >>> bool(abs(vectors[0, 0, 0] - np.tanh(1)) < 1e-15), bool(abs(matrix[0, 0, 0] - 2 / np.cosh(1) ** 2) < 1e-15)
    (True, True)
    """
    K, P = n.shape
    out = np.zeros((P, SCALARS)), np.zeros((P, VECTORS, K)), np.zeros((P, K, K))
    d, rho, noise, T = (np.array(np.broadcast_to(v, P), np.float64) for v in (d, rho, noise, T))
    _fill(rows, d, np.array(n.T, np.float64, order="C"), rho, noise, T, rule, out)
    return out[0].T, np.moveaxis(out[1], 0, -1), np.moveaxis(out[2], 0, -1)
