r"""What one would use instead of the Monte Carlo of this package: two libraries, and short loops of one's own.

The libraries are measured where they are installed; a call of them is set-up and sweeps, so the rate is the marginal
one, between two sweep counts. The loops are what twenty lines of Numba or NumPy give, with ``fastmath``, floats for
the state and random numbers without address. All take Metropolis steps.
"""

import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path

import numba
import numpy as np
import scipy.sparse
from mc_measure import MIB

fast = numba.njit(fastmath=True, nogil=True)


def couplings(xi):
    """``xi^T xi / N`` without its diagonal, float32."""
    x = xi.astype(np.float32)
    J = x.T @ x
    J /= np.float32(xi.shape[1])
    np.fill_diagonal(J, 0)
    return J


class Library:
    """One chain of a library at one temperature, from given spins."""

    def __init__(self, xi, T, spins):
        self._args, self.attempts = (xi, T, spins), spins.size
        self._sample = self.prepared(couplings(xi), 1 / T, spins)
        self._e = self._sample(1) / spins.size

    def seconds(self, sweeps):
        """CPU seconds of so many sweeps, the set-up of a call excluded."""
        spent = []
        for n in (1, 1 + sweeps):
            before = time.thread_time()
            self._e = self._sample(n) / self.attempts
            spent.append(time.thread_time() - before)
        return spent[1] - spent[0]

    def per_spin(self):
        """Energy per spin after the last call."""
        return self._e

    def acceptance(self):
        """Not told."""
        return float("nan")

    def mib(self):
        """Peak of its set-up and one sweep, in a process of its own, above what J and the imports take."""
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            return pool.submit(_peak, type(self), *self._args).result()


def _peak(library, xi, T, spins):
    J = couplings(xi)
    import_module(library.module)
    before = _most_resident()
    library.prepared(J, 1 / T, spins)(1)
    return (_most_resident() - before) / MIB


def _most_resident():
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    return 1024 * int(next(line for line in status.read_text().splitlines() if line.startswith("VmHWM")).split()[1])


class Dwave(Library):
    """Simulated annealing of dwave-samplers, with one temperature."""

    package, module = "dwave-samplers", "dwave.samplers"

    @staticmethod
    def prepared(J, beta, spins):
        """A call of so many sweeps, which gives the energy."""
        import dimod
        from dwave.samplers import SimulatedAnnealingSampler as Sampler

        i, j = np.triu_indices(spins.size, 1)
        bqm = dimod.BinaryQuadraticModel.from_numpy_vectors(np.zeros(spins.size), (i, j, -J[i, j]), 0.0, "SPIN")
        start = spins, list(range(spins.size))
        schedule = {"beta_schedule_type": "custom", "beta_schedule": [beta]}
        return lambda sweeps: (
            Sampler().sample(bqm, num_sweeps_per_beta=sweeps, initial_states=start, seed=1, **schedule).first.energy
        )


class OpenJij(Library):
    """Simulated annealing of OpenJij with dense couplings, with one temperature."""

    package, module = "openjij", "openjij"

    @staticmethod
    def prepared(J, beta, spins):
        """A call of so many sweeps, which gives the energy."""
        from openjij import SASampler
        from openjij.model.model import BinaryQuadraticModel

        i, j = np.triu_indices(spins.size, 1)
        quadratic = dict(zip(zip(i.tolist(), j.tolist(), strict=True), (-J[i, j]).tolist(), strict=True))
        bqm = BinaryQuadraticModel(dict.fromkeys(range(spins.size), 0.0), quadratic, 0.0, "SPIN", sparse=False)
        fixed = {"sparse": False, "initial_state": spins.tolist(), "seed": 1}
        return lambda sweeps: SASampler().sample(bqm, schedule=[[beta, sweeps]], **fixed).first.energy


def libraries():
    """Name -> class of the libraries that are installed; says which are not."""
    found = {}
    for library in (Dwave, OpenJij):
        try:
            found[f"{library.package} {version(library.package)}"] = library
        except PackageNotFoundError:
            print(f"{library.package} is not installed: not compared")
    return found


class Loop:
    """A loop of one's own, ``loop(*arrays, *constants, sweeps)``, which changes its arrays and counts flips."""

    def __init__(self, loop, arrays, constants, attempts, e=lambda: float("nan")):
        self.attempts, self.per_spin, self._arrays, self._flips, self._swept = attempts, e, arrays, 0, 0
        self._loop = lambda sweeps: loop(*arrays, *constants, sweeps)
        self._loop(1)  # compiles

    def seconds(self, sweeps):
        """CPU seconds of so many sweeps more."""
        before = time.thread_time()
        self._flips += self._loop(sweeps)
        self._swept += sweeps
        return time.thread_time() - before

    def acceptance(self):
        """Flips per attempt."""
        return self._flips / (self._swept * self.attempts)

    def mib(self):
        """What its arrays hold."""
        return sum(array.nbytes for array in self._arrays) / MIB


@fast
def _cached(sigma, h, J, beta, sweeps):
    N, flips = sigma.size, 0
    for _ in range(sweeps):
        for i in range(N):
            cost = 2 * sigma[i] * h[i]
            if cost <= 0 or np.random.random() < np.exp(-beta * cost):  # noqa: NPY002
                d = 2 * sigma[i]
                sigma[i] = -sigma[i]
                flips += 1
                for j in range(N):
                    h[j] -= d * J[i, j]
    return flips


def cached_fields(xi, T, spins):
    """The fields h = J sigma kept up to date: an attempt costs O(1), a flip N sums."""
    sigma, J = spins.astype(np.float32), couplings(xi)
    h = J @ sigma
    return Loop(_cached, (sigma, h, J), (np.float32(1 / T),), spins.size, lambda: -0.5 * float(sigma @ h) / spins.size)


def _tempering(sigma, h, J, xi, slot, ladder, sweeps):
    flips, N = 0, sigma.shape[1]
    for sweep in range(sweeps):
        flips += sum(_cached(sigma[c], h[c], J, np.float32(1 / ladder[slot[c]]), 1) for c in range(slot.size))
        E = -0.5 * np.einsum("ci,ci->c", sigma, h)
        at = np.argsort(slot)
        for t in range(sweep % 2, slot.size - 1, 2):
            a, b = at[t], at[t + 1]
            if np.log(np.random.random()) <= (1 / ladder[t] - 1 / ladder[t + 1]) * (E[a] - E[b]):  # noqa: NPY002
                slot[a], slot[b] = t + 1, t
        _ = E[at] / N, sigma[at] @ xi.T / N  # what would be recorded
    return flips


def tempering(xi, ladder, spins):
    """Cached fields, swaps in Python; spins (lane, site)."""
    sigma, J = spins.astype(np.float32), couplings(xi)
    arrays = sigma, sigma @ J, J, xi.astype(np.float32), np.arange(len(ladder))
    return Loop(_tempering, arrays, (ladder,), spins.size)


def product(q, P):
    """q^P written out."""
    return q * q * q if P == 3 else q * q * q * q


def power(q, P):
    """q^P, P left to run time."""
    return q**P


@cache
def _dense(form, P):
    inner = fast(form)
    written = P if form is product else 0  # a constant, or a number of run time

    @fast
    def loop(sigma, xi, M, P, beta, sweeps):
        N, flips, p = sigma.size, 0, written if written else P
        for _ in range(sweeps):
            for i in range(N):
                s, total = float(sigma[i]), 0.0
                for mu in range(M.size):
                    m = M[mu]
                    total += inner(m - 2.0 * xi[i, mu] * s, p) - inner(m, p)
                cost = -0.5 * total / float(N) ** (P - 1)
                if cost <= 0 or np.random.random() < np.exp(-beta * cost):  # noqa: NPY002
                    for mu in range(M.size):
                        M[mu] -= 2.0 * xi[i, mu] * s
                    sigma[i] = -sigma[i]
                    flips += 1
        return flips

    return loop


def dense_loop(xi, P, T, spins, form):
    """``sum_mu [(M - 2 xi s)^P - M^P]`` for every proposal, ``form`` one of the two above."""
    x, M = np.ascontiguousarray(xi.T), xi.astype(np.float64) @ spins
    arrays, N = (spins.copy(), x, M), spins.size
    return Loop(_dense(form, P), arrays, (P, 1 / T), N, lambda: -0.5 * _energy(M, P, N))


def _energy(M, P, N):
    return float(np.sum((M / N) ** P))


def _dense_numpy(sigma, x, M, P, beta, sweeps):
    N, flips, F = sigma.size, 0, np.sum(product(M, P))
    for _ in range(sweeps):
        for i in range(N):
            q = M - 2 * sigma[i] * x[i]
            G = np.sum(product(q, P))
            if np.log(np.random.random()) <= beta * 0.5 * (G - F) / N ** (P - 1):  # noqa: NPY002
                M[:], F, sigma[i] = q, G, -sigma[i]
                flips += 1
    return flips


def dense_numpy(xi, P, T, spins):
    """The same with whole arrays."""
    x, M = xi.T.astype(np.float64), xi.astype(np.float64) @ spins
    sigma = spins.astype(np.float64)
    return Loop(_dense_numpy, (sigma, x, M), (P, 1 / T), spins.size, lambda: -0.5 * _energy(M, P, spins.size))


@fast
def _sparse(sigma, M, data, rows, begin, beta, sweeps):
    N, flips = sigma.size, 0
    for _ in range(sweeps):
        for i in range(N):
            h = -sigma[i] * (begin[i + 1] - begin[i])
            for k in range(begin[i], begin[i + 1]):
                h += data[k] * M[rows[k]]
            cost = 2 * sigma[i] * h / N
            if cost <= 0 or np.random.random() < np.exp(-beta * cost):  # noqa: NPY002
                for k in range(begin[i], begin[i + 1]):
                    M[rows[k]] -= 2 * sigma[i] * data[k]
                sigma[i] = -sigma[i]
                flips += 1
    return flips


def sparse(xi, T, spins):
    """Diluted patterns as columns of a SciPy sparse array."""
    columns = scipy.sparse.csc_array(xi.astype(np.float32))
    sigma, M = spins.astype(np.float32), columns @ spins.astype(np.float32)
    arrays = sigma, M, columns.data, columns.indices, columns.indptr
    own, N = xi.astype(bool).sum(), spins.size
    return Loop(_sparse, arrays, (1 / T,), N, lambda: -0.5 * (float(M @ M) - own) / N**2)


def _parallel(sigma, J, sweeps):
    flips = 0
    for _ in range(sweeps):
        h = sigma @ J
        turned = sigma * h < 0
        sigma[turned] *= -1
        flips += np.count_nonzero(turned)
    return flips


def little(xi, spins):
    """Parallel dynamics of (lane, site) by products with J."""
    return Loop(_parallel, (spins.astype(np.float32), couplings(xi)), (), spins.size)
