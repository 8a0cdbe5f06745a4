"""Kernels of single chains against a slow loop in 64-bit integers and the stored trajectories."""

import hashlib
import json
from itertools import product
from pathlib import Path

import numba
import numpy as np
import pytest

import mattis as mt
from mattis.core.philox import key, lane, words
from mattis.mc import speculative
from mattis.mc.bits4 import Bits4
from mattis.mc.coupling import CouplingEnergy
from mattis.mc.kernel import DOWNHILL, HEAT_BATH, METROPOLIS, Rule
from mattis.mc.reference import sites
from mattis.mc.rows import Rows
from mattis.mc.single import Single
from mattis.mc.speculative import Speculative, SpeculativeJ
from mattis.mc.start import initial_spins
from mattis.mc.thresholds import logit, neglog

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "trajectories.json").read_text())
CASES = [c for c in GOLDEN if c.get("energy", "hebbian") == "hebbian" and c["sampler"] in ("HeatBath", "Metropolis")]
ORDERS = ("sequential", "permutation", "random")
ACCEPTANCES = (METROPOLIS, HEAT_BATH, DOWNHILL)
KERNELS = (Speculative, Bits4, Single)
SEED = 2**33 + 17


def slow_chain(cost, flip, s, scales, rule, address, first, last):
    """Sweeps of one chain in place: ``cost(s, i)`` is D, ``flip(s, i)`` follows a flip; returns the flips."""
    chain, sample = address
    flips = 0
    for sweep in range(first, last):
        u = words(SEED, 0, s.size, row=sweep, lane=int(chain), sample=sample)
        scale = scales[min(sweep - first, len(scales) - 1)]
        x = ((logit if rule.acceptance == HEAT_BATH else neglog)(u) * scale).astype(np.float64)
        for t, i in enumerate(sites(ORDERS[rule.order], s.size, SEED, sample, sweep)):
            D = cost(s, i)
            if D < 0 if rule.acceptance == DOWNHILL else np.float64(D) <= x[t]:
                flip(s, i)
                s[i] *= -1
                flips += 1
    return flips


def slow_patterns(xi, s, *run):
    """The same for patterns (mu, site), from overlaps."""
    x = np.ascontiguousarray(xi.T, np.int64)
    M = s @ x

    def flip(s, i):
        M[:] -= 2 * s[i] * x[i]

    return slow_chain(lambda s, i: s[i] * (x[i] @ M) - x[i] @ x[i], flip, s, *run)


def slow_couplings(J, s, *run):
    """The same for couplings (site, site)."""
    J = J.astype(np.int64)
    return slow_chain(lambda s, i: s[i] * (J[i] @ s), lambda s, i: None, s, *run)


def check(kernel, slow, disorder, spins, scales, rule, lanes, sample, sweeps):
    """Run ``kernel`` in two parts and compare spins and flips with the slow loop."""
    half = sweeps // 2
    for first, last in ((0, half), (half, sweeps)):
        kernel.sweep(scales[first:last] if len(scales) > 1 else scales, first, last)
    for r, chain in enumerate(lanes):
        s = spins[0, r].astype(np.int64)
        flips = slow(disorder, s, scales[:, 0, r], rule, (chain, sample), 0, sweeps)
        assert np.array_equal(kernel.spins()[0, r], s)
        assert kernel.accepted[0, r] == flips
    return kernel.spins()[0].astype(np.int64)


def check_patterns(cls, xi, spins, T, rule, lanes, sample=0, sweeps=6):
    """The same for patterns (sample, mu, site), T of shape (1 or sweep, lane); overlaps and total too."""
    energy = mt.OverlapEnergy.hebbian(xi)
    scales = np.array([[[energy.scale(t) for t in row]] for row in T], np.float32)
    kernel = cls(cls.tables(energy, sample), spins, rule, lanes, sample)
    assert np.array_equal(kernel.spins(), spins)
    s = check(kernel, slow_patterns, xi[sample], spins, scales, rule, lanes, sample, sweeps)
    M = s @ xi[sample].T.astype(np.int64)
    assert np.array_equal(kernel.overlaps(), M[None])
    assert np.array_equal(kernel.total(), np.sum(M**2, axis=1)[None])
    return kernel


def signs(rng, *shape):
    return rng.choice(np.array([-1, 1], np.int8), size=shape)


@pytest.mark.parametrize("cls", KERNELS)
@pytest.mark.parametrize("K", [1, 2, 7, 53])
@pytest.mark.parametrize("N", [1, 3, 5, 30, 33, 97, 101, 997])
def test_equals_the_slow_loop(cls, N, K):
    rng = np.random.default_rng([N, K])
    xi, lanes = signs(rng, 2, K, N), np.array([0, 5, 7 << 20 | 3], np.uint64)
    spins = signs(rng, 1, 3, N)
    spins[0, 0] = xi[1, 0]
    for acceptance in ACCEPTANCES:
        rule = Rule(acceptance, 0, key(SEED))
        check_patterns(cls, xi, spins, [[0.15, 0.6, 1.5]], rule, lanes, sample=1, sweeps=6 if N < 900 else 3)


@pytest.mark.parametrize("acceptance", ACCEPTANCES)
@pytest.mark.parametrize("order", [1, 2])
def test_drawn_orders(order, acceptance):
    rng = np.random.default_rng(order)
    xi, lanes = signs(rng, 1, 7, 133), np.array([1, 9], np.uint64)
    check_patterns(Speculative, xi, signs(rng, 1, 2, 133), [[0.3, 1.0]], Rule(acceptance, order, key(SEED)), lanes)


@pytest.mark.parametrize("cls", KERNELS)
def test_every_sweep_its_temperature(cls):
    rng = np.random.default_rng(4)
    T = np.geomspace(2.0, 0.1, 10)[:, None] * [1.0, 0.5]
    rule, lanes = Rule(HEAT_BATH, 0, key(SEED)), np.array([2, 3], np.uint64)
    check_patterns(cls, signs(rng, 1, 5, 77), signs(rng, 1, 2, 77), T, rule, lanes, sweeps=10)


@pytest.mark.parametrize("cls", KERNELS)
@pytest.mark.parametrize("case", [c for c in CASES if c["order"] == "sequential"], ids=lambda c: f"{c['N']}-{c['K']}")
def test_golden(cls, case):
    xi = mt.patterns(N=case["N"], K=case["K"], samples=case["samples"], seed=case["seed"])
    energy = mt.OverlapEnergy.hebbian(xi)
    start = initial_spins(energy, case["start"], len(case["T"]), case["chains"], case["seed"])
    rule = Rule({"Metropolis": METROPOLIS, "HeatBath": HEAT_BATH}[case["sampler"]], 0, key(case["seed"]))
    t, chain = np.indices(start.shape[1:3]).reshape(2, -1)
    scales = np.array([[[energy.scale(case["T"][i]) for i in t]]], np.float32)
    end = np.empty_like(start)
    for sample in range(case["samples"]):
        spins = start[sample].reshape(1, t.size, -1)
        kernel = cls(cls.tables(energy, sample), spins, rule, lane(t, chain), sample)
        kernel.sweep(scales, 0, case["sweeps"])
        end[sample] = kernel.spins().reshape(start.shape[1:])
    assert hashlib.sha256(np.ascontiguousarray(end, np.int8).tobytes()).hexdigest() == case["sha256"]


# --- widths ----------------------------------------------------------------------------------------------------------


def alike(N, K, noise, seed):
    """Patterns that are nearly the same, so that fields and sums come near their bounds."""
    rng = np.random.default_rng(seed)
    first = signs(rng, N)
    return np.where(rng.random((1, K, N)) < noise, -first, first).astype(np.int8), first


@pytest.mark.parametrize("cls", KERNELS)
@pytest.mark.parametrize("acceptance", [METROPOLIS, HEAT_BATH])
def test_fields_beyond_16_bits(cls, acceptance):
    """At T = 60 both signs of a field of 4e4 matter; modulo 2^16 it would have the other sign."""
    xi, first = alike(230, 300, 0.1, 1)
    spins = np.stack([first, -first, signs(np.random.default_rng(2), 230)])[None]
    rule, lanes = Rule(acceptance, 0, key(SEED)), np.arange(3, dtype=np.uint64)
    M = xi[0].astype(np.int64) @ first
    assert np.max(np.abs(M @ xi[0])) > 40000
    check_patterns(cls, xi, spins, [[0.5, 60.0, 200.0]], rule, lanes)


@pytest.mark.parametrize(("N", "K"), [(3000, 1000), (33000, 3)])
def test_sums_beyond_16_bits(N, K):
    """32 vectors of overlaps up to 3000 make sums near 96000 a lane; 33000 sites make an overlap that long."""
    xi, first = alike(N, K, 0.01, 3)
    rule, lanes = Rule(METROPOLIS, 0, key(SEED)), np.array([4], np.uint64)
    kernel = check_patterns(Bits4, xi, first[None, None], [[1.2 * K]], rule, lanes, sweeps=2)
    assert kernel.accepted[0, 0] > N // 4


@pytest.mark.parametrize(("N", "wide"), [(32768, False), (32769, True)])
def test_certificate_is_exact(N, wide):
    """One pattern: sum_{j != i} |C_ij| = N - 1."""
    energy = mt.OverlapEnergy.hebbian(signs(np.random.default_rng(N), 1, 1, N))
    assert (Speculative.tables(energy, 0).rows.dtype == np.int32) == wide


def test_certificate_counts_what_it_should():
    """Against the explicit C, on both sides of the bound, for sizes with blank sites."""
    for N, K in ((600, 70), (513, 64), (640, 81)):
        xi = alike(N, K, 0.07, N)[0]
        C = xi[0].T.astype(np.int64) @ xi[0]
        np.fill_diagonal(C, 0)
        largest = np.max(np.sum(np.abs(C), axis=1))
        assert (Rows.of(mt.OverlapEnergy.hebbian(xi), 0).rows.dtype == np.int16) == (largest <= 32767)


@pytest.mark.parametrize("cls", KERNELS)
def test_too_large_for_32_bits(cls):
    """N K beyond 2^31 is refused, not wrapped; N^2 K < 2^62 lets the energy itself pass."""
    energy = mt.OverlapEnergy.hebbian(np.ones((1, 50000, 2), np.int8))
    object.__setattr__(energy, "xi", np.broadcast_to(np.int8(1), (1, 50000, 50000)))
    with pytest.raises(ValueError, match="N K must be <= 2147483520"):
        cls(cls.tables(energy, 0), np.ones((1, 1, 50000), np.int8), Rule(0, 0, (0, 0)), np.zeros(1, np.uint64), 0)


@numba.njit
def passing(D, u, scale, acceptance):
    """How many sites the first test lets pass, each with its D and its word."""
    ones, passed = np.ones_like(D), 0
    for at in range(0, D.size, 32):
        bits = speculative._test(ones, D, at, 0, u, at, scale, acceptance)
        for site in range(32):
            passed += (bits >> np.uint64(site)) & np.uint64(1)
    return passed


@numba.njit
def accepting(D, u, scale, acceptance):
    """How many sites flip."""
    flips = 0
    for i in range(D.size):
        flips += speculative._accepts(D[i], u[i], scale, acceptance)
    return flips


@pytest.mark.parametrize("acceptance", [METROPOLIS, HEAT_BATH])
@pytest.mark.parametrize("scale", [2.0**-100, 0.7, 150.0, 8e4, 1.2e8])
def test_first_test_never_stops_a_flip(scale, acceptance):
    """Every accepted D passes, for one word in 16; a D larger by 0.07 scale does not: -ln x is met to 0.06.

    At the largest scale most thresholds are integers themselves, so that D = x, which flips, is met too.
    """
    u = np.arange(2**20, dtype=np.uint32) << np.uint32(12) | np.uint32(0x900)
    u[:2], u[-1] = (0, 255), 2**32 - 1
    x = (logit if acceptance == HEAT_BATH else neglog)(u) * np.float32(scale)
    D = np.floor(x).astype(np.int32)
    assert passing(D, u, np.float32(scale), acceptance) == u.size
    assert accepting(D, u, np.float32(scale), acceptance) == u.size
    assert accepting(D + 1, u, np.float32(scale), acceptance) == 0
    if scale > 1:
        beyond = np.floor(neglog(u).astype(np.float64) * scale + 0.07 * scale) + 1
        assert passing(beyond.astype(np.int32), u, np.float32(scale), acceptance) == 0


# --- couplings -------------------------------------------------------------------------------------------------------


def couplings(kind, N, rng):
    J = rng.integers(-9, 10, (N, N)) if kind == "integer" else rng.normal(size=(N, N)) / np.sqrt(N)
    return J + J.T


@pytest.mark.parametrize("kind", ["integer", "SK"])
@pytest.mark.parametrize("N", [1, 3, 33, 97, 130])
def test_couplings(kind, N):
    rng = np.random.default_rng(N)
    energy = CouplingEnergy(np.stack([couplings(kind, N, rng) for _ in range(2)]))
    lanes, spins = np.array([0, 1 << 20 | 4], np.uint64), signs(rng, 1, 2, N)
    scales = np.array([[[energy.scale(T) for T in ((4.0, 60.0) if kind == "integer" else (0.4, 1.5))]]], np.float32)
    for acceptance, order in product(ACCEPTANCES, range(3)):
        rule = Rule(acceptance, order, key(SEED))
        kernel = SpeculativeJ(SpeculativeJ.tables(energy, 1), spins, rule, lanes, 1)
        s = check(kernel, slow_couplings, energy.J[1], spins, scales, rule, lanes, 1, 6)
        assert np.array_equal(kernel.total(), np.einsum("ri,ij,rj->r", s, energy.J[1].astype(np.int64), s)[None])
        assert kernel.overlaps().shape == (1, 2, 0)


# --- moving between kernels -------------------------------------------------------------------------------------------


def test_chains_move_to_the_faster_kernel():
    """A cold chain stays, a hot one moves, and one that is heated and cooled goes there and back."""
    rng = np.random.default_rng(6)
    N, K = 997, 20
    xi, lanes = signs(rng, 1, K, N), np.arange(3, dtype=np.uint64)
    energy, spins = mt.OverlapEnergy.hebbian(xi), np.repeat(xi[:, :1], 3, axis=1)
    scales = np.array([[[energy.scale(T) for T in (0.1, 1.5, 1.5)]]], np.float32)
    rule = Rule(METROPOLIS, 0, key(SEED))
    together, alone = (cls(cls.tables(energy, 0), spins, rule, lanes, 0) for cls in (Single, Speculative))
    for sweep, kinds in ((0, [Speculative, Bits4]), (100, [Speculative, Bits4])):
        for kernel in (together, alone):
            kernel.sweep(scales, sweep, sweep + 100)
        assert [type(kernel) for _, kernel in together._parts] == kinds
        assert [part.tolist() for part, _ in together._parts] == [[0], [1, 2]] if sweep == 0 else [[0, 2], [1]]
        scales[0, 0, 2] = energy.scale(0.01)
    for what in ("spins", "overlaps", "total"):
        assert np.array_equal(getattr(together, what)(), getattr(alone, what)())
    assert np.array_equal(together.accepted, alone.accepted)


def held(thing):
    """Bytes of the arrays of an object and of the tables it keeps."""
    arrays = {id(a): a for a in vars(thing).values() if isinstance(a, np.ndarray)}
    return sum(a.nbytes for a in arrays.values()) + (held(thing._of) if hasattr(thing, "_of") else 0)


@pytest.mark.parametrize(("N", "K"), [(1000, 17), (1000, 50), (4000, 192)])
@pytest.mark.parametrize("cls", [Speculative, Bits4])
def test_memory(cls, N, K):
    energy = mt.OverlapEnergy.hebbian(signs(np.random.default_rng(0), 1, K, N))
    for R in (1, 4):
        rule, lanes = Rule(METROPOLIS, 0, key(SEED)), np.arange(R, dtype=np.uint64)
        kernel = cls(cls.tables(energy, 0), np.ones((1, R, N), np.int8), rule, lanes, 0)
        assert held(kernel) <= 4 * (N * K / 8 + R * (N + 2 * K))
