"""The multitasking network under an extensive load of other patterns, replica symmetric.

Digits without another source were computed from the equations of the docstring by separate code (double precision).
"""

from itertools import product

import numpy as np
import pytest

import mattis as mt


def solve(**parameters):
    return mt.solve(mt.Multitasking(**parameters))


def test_replica_symmetric_points():
    """f without the diagonal of the couplings, alpha (1 - d)/2 above f with it."""
    one = solve(K=1, alpha=0.02, d=0.2, T=0.1)
    np.testing.assert_allclose([one.m[0], one.q], [0.79887953, 0.93409396], rtol=0, atol=6e-9)
    assert one.r_noise == pytest.approx(4.179501, abs=6e-7)
    assert one.free_energy == pytest.approx(-0.350616481, abs=6e-10)
    two = solve(K=1, alpha=0.03, d=0.1, T=0.1)
    np.testing.assert_allclose([two.m[0], two.q], [0.89982650, 0.96614779], rtol=0, atol=6e-9)
    assert two.r_noise == pytest.approx(1.998304, abs=6e-7)
    both = solve(K=2, alpha=0.001, d=0.2, T=0.02)
    np.testing.assert_allclose([*both.m, both.q], [0.8, 0.15952206, 0.98748092], rtol=0, atol=6e-9)
    assert both.r_noise == pytest.approx(3.962012, abs=6e-7)


@pytest.mark.parametrize(("K", "alpha", "d", "T"), [(1, 0.02, 0.2, 0.1), (2, 0.001, 0.2, 0.02), (1, 0.3, 0.5, 0.4)])
def test_replicon(K, alpha, d, T):
    """1 - alpha (p/T)^2 E sech^4/(1 - C)^2, C = p(1 - q)/T, by the trapezoid rule over z."""
    p = 1 - d
    state = solve(K=K, alpha=alpha, d=d, T=T)
    z = np.linspace(-9, 9, 4001)
    g = np.exp(-z * z / 2) / np.exp(-z * z / 2).sum()
    xi = np.array(list(product((-1, 0, 1), repeat=K)), float)
    w = np.prod(np.where(xi == 0, d, (1 - d) / 2), axis=1)
    h = (np.add.outer(xi @ state.m, p * np.sqrt(alpha * state.r_noise) * z)) / T
    C = p * (1 - state.q) / T
    assert state.q == pytest.approx(w @ np.tanh(h) ** 2 @ g, abs=1e-11)
    sech4 = w @ (1 / np.cosh(h) ** 4) @ g
    assert state.replicon == pytest.approx(1 - alpha * (p / T) ** 2 * sech4 / (1 - C) ** 2, abs=1e-9)


@pytest.mark.parametrize(("alpha", "d"), [(0.05, 0.0), (0.3, 0.2), (1.7, 0.8)])
def test_onset_of_the_glass(alpha, d):
    """T_g = (1 - d)(1 + sqrt alpha)."""
    line = mt.spinodal(mt.Multitasking, along="T", of="spin_glass", alpha=alpha, d=d, K=1)
    assert pytest.approx((1 - d) * (1 + np.sqrt(alpha)), rel=1e-9) == line.T


def test_phases_under_load():
    """alpha_c(.3) = .0275 at T = 0, T_g = .7 (1 + sqrt alpha)."""
    ds = mt.classify(
        mt.sweep(mt.Multitasking, over={"alpha": [0.001, 0.05], "T": [0.02, 0.3, 1.0]}, const={"K": 1, "d": 0.3})
    )
    assert ds.phase.values.tolist() == [["pure", "pure", "paramagnet"], ["spin_glass", "spin_glass", "paramagnet"]]
