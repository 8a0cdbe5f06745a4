r"""The script one would write today: the Hopfield equations by ``scipy.optimize.root`` and ``scipy.integrate.quad``.

    m = int Dz tanh h,   q = int Dz tanh^2 h,   h = (m + sqrt(alpha r) z)/T,   r = q/(1 - (1 - q)/T)^2,

at T > 0, one point and one start at a time, with library defaults. Nothing is done against what is special to these
equations: the kink of tanh at low T, the pole of r, the branch on which the root lies. ``library`` is where exp and
tanh come from: numpy, as most scripts have it, or math, which on scalars is about twice as fast.

    python benchmarks/obvious_script.py
"""

import math
import time
import warnings

import numpy as np
from scipy.integrate import quad
from scipy.optimize import root

STARTS = {"retrieval": (1.0, 1.0), "spin_glass": (0.0, 1.0), "paramagnet": (0.0, 0.0)}
NORM = 1 / math.sqrt(2 * math.pi)


def equations(x, alpha, T, library):
    """(m, q) minus their images."""
    m, q = x
    r = q / (1 - (1 - q) / T) ** 2
    width = math.sqrt(max(alpha * r, 0.0))

    def tanh(z):
        return NORM * library.exp(-0.5 * z * z) * library.tanh((m + width * z) / T)

    def tanh2(z):
        return NORM * library.exp(-0.5 * z * z) * library.tanh((m + width * z) / T) ** 2

    return m - quad(tanh, -10, 10)[0], q - quad(tanh2, -10, 10)[0]


def solve_point(alpha, T, start, library=np):
    """(m, q, success) from one start, a key of STARTS."""
    found = root(equations, STARTS[start], args=(alpha, T, library))
    return found.x[0], found.x[1], bool(found.success)


def main():
    """Time it on a small grid."""
    points = [(alpha, T) for alpha in np.linspace(0.0005, 0.2, 6) for T in np.linspace(0.01, 1.5, 6)]
    for library in (np, math):
        before, failed = time.process_time(), 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for alpha, T in points:
                failed += sum(not solve_point(alpha, T, start, library)[2] for start in STARTS)
        spent, solves = time.process_time() - before, len(points) * len(STARTS)
        print(f"{library.__name__}: {solves} solves, {spent / solves * 1e3:.2f} ms each, {failed} failed")


if __name__ == "__main__":
    main()
