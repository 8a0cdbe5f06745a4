"""NumPy reference and Numba kernel: the same bits, for thresholds, orders, sweeps and whole runs."""

import hashlib
from functools import cache

import numpy as np
import pytest

import mattis as mt
from mattis.core.philox import fill_words, key, words
from mattis.mc import reference, steps
from mattis.mc.thresholds import QC, fill_thresholds, logit, neglog, thresholds

ALL_24_BITS = np.arange(2**24, dtype=np.uint32) << np.uint32(8)
SCALES = [(np.float32(s), step) for s, step in ((0.7, 1), (8e4, 1), (150.0, 64), (2.0**-100, 64), (2.0**100, 64))]


@cache
def law(heat_bath):
    return logit(ALL_24_BITS) if heat_bath else neglog(ALL_24_BITS)


@pytest.mark.parametrize("heat_bath", [True, False])
def test_thresholds_agree_for_every_word(heat_bath):
    L = law(heat_bath)
    for scale, step in SCALES:
        u = ALL_24_BITS[::step].reshape(4, -1).copy()
        out = np.empty(u.shape, np.int64)
        fill_thresholds(out, u, scale, heat_bath, QC)
        assert np.array_equal(out.ravel(), thresholds(L[::step], scale))


def test_logarithms_are_close_monotone_and_symmetric():
    n = np.arange(2**24)
    for L, exact in (
        (law(False), -np.log((n + 0.5) / 2**24)),
        (law(True), np.log((2**24 - 0.5 - n) / (n + 0.5))),
    ):
        assert np.abs(L - exact).max() < 1.3e-6
        assert (np.diff(L) <= 0).all()
    assert np.signbit(law(False)[-1])  # -0.0: x = 1, and D = 0 still flips
    assert not (law(True) == 0).any()
    assert np.count_nonzero(thresholds(law(True), np.float32(1)) >= 0) == 2**23


@pytest.mark.parametrize(("heat_bath", "bound"), [(True, 1.4), (False, 2.1)])
def test_acceptance_is_right_to_24_bits(heat_bath, bound):
    """|P(accept) - p| over all 2^24 words and every integer D, in units of 2^-24."""
    for scale in (np.float32(0.7), np.float32(150), np.float32(2500)):
        D = np.arange(-int(18 * scale) if heat_bath else 0, int(18 * scale))
        x = D / np.float64(scale)
        exact = 1 / (1 + np.exp(x)) if heat_bath else np.exp(-x)
        accepted = 2**24 - np.searchsorted(law(heat_bath)[::-1] * scale, D)
        assert np.abs(accepted - 2**24 * exact).max() < bound


def test_a_cast_is_not_a_floor():
    L = law(True)[:: 2**8]
    wrong = (L * np.float32(0.7)).astype(np.int64)
    assert not np.array_equal(wrong, thresholds(L, np.float32(0.7)))


@pytest.mark.parametrize("order", ["permutation", "random"])
@pytest.mark.parametrize("N", [1, 2, 5, 33, 101])
def test_orders(order, N):
    u = np.empty((4, (N + 3) // 4), np.uint32)
    site = np.empty(N, np.int64)
    for sweep in range(3):
        fill_words(u, *key(7), 5, sweep, 0, 4)
        steps.fill_sites(site, u, order == "random")
        expected = reference.sites(order, N, 7, 4, sweep)
        assert np.array_equal(site, expected)
        if order == "permutation":
            assert sorted(site) == list(range(N))
        else:
            assert np.array_equal(site, words(7, 5, N, row=sweep, sample=4).astype(object) * N >> 32)


@pytest.mark.parametrize("sampler", [mt.HeatBath, mt.Metropolis])
@pytest.mark.parametrize("order", ["sequential", "permutation", "random"])
@pytest.mark.parametrize(("N", "K"), [(1, 1), (3, 2), (5, 7), (33, 1), (97, 31), (101, 130)])
@pytest.mark.parametrize("chains", [1, 4])
def test_runs(sampler, order, N, K, chains):
    """Of few chains, one after the other, and of more, side by side."""
    energy = mt.OverlapEnergy.hebbian(mt.patterns(N=N, K=K, samples=2, seed=N))
    run = {"sampler": sampler(order), "T": [0.2, 0.6, 1.4], "chains": chains, "seed": 11}
    spins = reference.final_spins(energy, **run, sweeps=5, start="random")
    ds = mt.simulate(energy, **run, sweeps=5, burn_in=0)
    assert ds.sha256 == hashlib.sha256(spins).hexdigest()
    M = np.stack([energy.overlaps(spins[k], k) for k in range(2)])
    assert np.array_equal(ds.overlap[:, :, :, -1], M / N)
    couplings = np.einsum("zmi,zmj->zij", energy.xi, energy.xi, dtype=np.int64) * (1 - np.eye(N, dtype=int))
    e = -np.einsum("ztci,zij,ztcj->ztc", spins, couplings, spins, dtype=np.int64) / (2 * N**2)
    np.testing.assert_allclose(ds.energy[..., -1], e, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("order", ["sequential", "permutation", "random"])
@pytest.mark.parametrize("chains", [1, 5])
def test_costs_beyond_32_bits(order, chains):
    """Weights of 40000: flips cost 1e10, and kernels of 32 bits leave them to wider ones."""
    w = np.random.default_rng(13).integers(-40000, 40000, (2, 3, 11), dtype=np.int32, endpoint=True)
    energy = mt.OverlapEnergy(w)
    run = {"sampler": mt.HeatBath(order), "T": [3e8, 3e9], "chains": chains, "seed": 13}
    spins = reference.final_spins(energy, **run, sweeps=6, start="random")
    assert mt.simulate(energy, **run, sweeps=6, burn_in=0).sha256 == hashlib.sha256(spins).hexdigest()
    costs = [energy.flip_cost(energy.sums(s), int(s[i]), i) for s in spins[0, 1] for i in range(11)]
    assert max(costs) > 2**31


def test_flipping_costs_what_the_energy_says():
    N, K = 9, 4
    energy = mt.OverlapEnergy.hebbian(mt.patterns(N=N, K=K, seed=3))
    sigma = np.where(np.arange(N) % 3, 1, -1)
    for i in range(N):
        flipped = np.where(np.arange(N) == i, -sigma, sigma)
        D = sigma[i] * int(energy.xi[0, :, i] @ energy.overlaps(sigma)) - energy.self_term[0, i]
        e = [float(energy.per_spin(np.sum(energy.overlaps(s) ** 2))) for s in (sigma, flipped)]
        assert N * (e[1] - e[0]) == pytest.approx(2 * D / N, abs=1e-13)
