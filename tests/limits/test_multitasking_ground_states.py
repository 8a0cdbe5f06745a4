"""States of diluted patterns at T = 0: reference digits, completeness, the change of the ground state.

Digits without another source were computed from m = E xi sgn(xi.m) by separate code.
"""

from itertools import product

import numpy as np
import pytest

from mattis.theory import regimes
from mattis.theory.ground_states import CELLS, cells, competitor


def law(K, d):
    """All 3^K rows and their probabilities, written out."""
    rows = np.array(list(product((-1, 0, 1), repeat=K)), float)
    n = abs(rows).sum(axis=1)
    return rows, ((1 - d) / 2) ** n * d ** (K - n)


def test_dilution_up_to_which_the_hierarchy_exists():
    """Reciprocal (K - 1)-bonacci constants."""
    known = {3: 0.6180339887, 4: 0.5436890127, 5: 0.5187900637, 6: 0.5086603916, 8: 0.5020170552}
    for K, d in known.items():
        assert regimes.d_h(K=K) == pytest.approx(d, abs=6e-11)
    assert regimes.d_h(K=3) == pytest.approx((np.sqrt(5) - 1) / 2, abs=1e-15)
    assert np.isnan(regimes.d_h(K=2))


def test_all_regions_are_visited():
    """1, 1, 2, 14, 516 regions (OEIS A009997, comparative probability orderings), so no state can be missed."""
    assert tuple(len(cells(K)) for K in range(1, 6)) == CELLS


def test_states_at_zero_temperature():
    for K, d, m, e in (
        (3, 0.4, [[0.6, 0.24, 0.096], [0.492, 0.348, 0.204]], [-0.213408, -0.202392]),
        (3, 0.8, [[0.196, 0.164, 0.132]], [-0.041368]),
        (3, 0.0, [[1, 0, 0], [0.5, 0.5, 0.5]], [-0.5, -0.375]),
        (2, 0.9, [[0.1, 0.09]], [-0.00905]),
    ):
        found = regimes.ground_states(d=d, K=K)
        np.testing.assert_allclose(found.m, m, atol=1e-15)
        np.testing.assert_allclose(found.e, e, atol=1e-15)
    ground = regimes.ground_states(d=0.6, K=4)
    np.testing.assert_allclose(ground.m[0], [0.3552, 0.2656, 0.1888, 0.1312], atol=1e-15)
    assert ground.e[0] == pytest.approx(-0.12478464, abs=1e-15)


@pytest.mark.parametrize(("K", "number"), [(4, 10), (5, 71)])
def test_every_state_is_a_fixed_point_and_random_starts_find_no_other(K, number):
    """d = 1/2; 4000 starts. The longer list is that of the enumeration."""
    d, found = 0.5, regimes.ground_states(d=0.5, K=K)
    assert len(found.e) == number
    rows, w = law(K, d)
    assert (np.diff(found.e) >= 0).all()
    np.testing.assert_allclose((w * np.sign(found.m @ rows.T)) @ rows, found.m, atol=1e-14)
    m = np.random.default_rng(3).dirichlet(np.full(K, 0.8), 4000)
    for _ in range(40):
        m = (w * np.sign((m @ rows.T).round(13))) @ rows
    h = abs(m @ rows.T)[:, abs(rows).sum(axis=1) > 0]
    reached = -np.sort(-abs(m[h.min(axis=1) > 1e-9]), axis=1)
    distance = abs(reached[:, None] - found.m).max(axis=2).min(axis=1)
    assert distance.max() < 1e-13


@pytest.mark.parametrize("K", [3, 4, 5])
def test_ground_state_changes_where_the_complete_list_says(K):
    d = regimes.d_gs(K=K)
    for x, first in ((d - 1e-6, True), (d + 1e-6, False)):
        found = regimes.ground_states(d=x, K=K)
        hierarchical = (1 - x) * x ** np.arange(K)
        assert np.allclose(found.m[0], hierarchical if first else competitor(x, K), atol=1e-14)
        assert np.allclose(found.m[1], competitor(x, K) if first else hierarchical, atol=1e-14)
    digits = {3: (1 + 2 * np.sqrt(2)) / 7, 4: 0.51868, 5: 0.50720}
    assert d == pytest.approx(digits[K], abs=1e-14 if K == 3 else 1e-5)
    assert d < regimes.d_h(K=K)


def test_ground_state_of_six_patterns():
    """No lower state than the competitor in 3000 starts near the hierarchical one and at random; 0.50279(1)."""
    d = regimes.d_gs(K=6)
    assert d == pytest.approx(0.50279, abs=1e-5)
    rows, w = law(6, d)
    random = np.random.default_rng(5)
    m = np.concatenate([d ** np.arange(6) * random.uniform(0.5, 1.5, (1500, 6)), random.dirichlet(np.ones(6), 1500)])
    for _ in range(15):
        m = (w * np.sign((m @ rows.T).round(13))) @ rows
    e = -0.5 * (m**2).sum(axis=1)
    assert e.min() == pytest.approx(-0.5 * (competitor(d, 6) ** 2).sum(), abs=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: regimes.d_gs(K=7), r"K must be in \[3, 6\], got 7"),
        (lambda: regimes.d_h(K=0), r"K must be >= 1, got 0"),
        (lambda: regimes.ground_states(d=0.5, K=6), r"K must be in \[1, 5\], got 6"),
        (lambda: regimes.ground_states(d=[0.1, 0.2], K=2), r"d must be one number"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call()


def test_an_integer_must_be_one():
    with pytest.raises(TypeError, match=r"^K must be an integer"):
        regimes.ground_states(d=0.5, K=2.0)
