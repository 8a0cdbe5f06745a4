"""What the figures of dense networks against simulation rest on: pulls, planted errors, and the trend with N."""

import numpy as np
import pytest
from scipy.stats import t as student

from mattis.figures import dense_low_load
from mattis.figures._dense_runs import Cell, compared, expected
from mattis.figures.dense_low_load import _cell, _single

T_LOW, T_HIGH, T_LEARNT = [0.5, 0.7, 0.8], [0.2, 0.5], [0.2]
HIGH = [Cell(4, 140, 0.1, 32), Cell(4, 200, 0.1, 16), Cell(4, 140, 0.2, 24), Cell(4, 140, 0.3, 24)]
LEARNT = [Cell(4, 80, 0.05, 32, 0.8, 3), Cell(4, 80, 0.05, 32, 0.8, 5), Cell(2, 500, 0.03, 32, 0.8, 5)]


@pytest.fixture(scope="module")
def low():
    """K = N patterns of 125 to 1000 sites."""
    return compared([_cell(1, N, 48) for N in (125, 250, 1000)], T_LOW, sweeps=120, seed=3)


@pytest.fixture(scope="module")
def high():
    """K ~ N^3 patterns: up to 66667 of 200 sites."""
    return compared(HIGH, T_HIGH, sweeps=40, seed=4)


@pytest.fixture(scope="module", params=["supervised"])
def learnt(request):
    """Three and five examples per pattern."""
    return compared(LEARNT, T_LEARNT, request.param, sweeps=40, seed=5)


def p_values(ds, pull):
    """Of the pulls (cell, T), two-sided: Student of samples - 1 degrees of freedom if theory and errors are right."""
    return 2 * student.sf(np.abs(pull), ds.samples.values[:, None] - 1)


def planted(ds, T, protocol="storing", *, gamma=1.0, hot=1.0, law="binomial"):
    """The smallest p-value of the same simulations against a theory that is off."""
    cells = [Cell(int(P), int(N), g * gamma, 1, r, int(M)) for P, N, g, r, M in _cells(ds)]
    m = expected(cells, [hot * t for t in T], protocol, law, finite=True)["m"]
    return p_values(ds, (ds.m.values - m) / ds.m_error.values).min()


def _cells(ds):
    return zip(*(ds[name].values for name in ("P", "N", "gamma", "r", "M")), strict=True)


def test_every_pull(low, high):
    """No p-value of the 17 below 1e-4 / 17; with fresh seeds that fails once in ten thousand times.

    Against theory at gamma/s_N and T/s_N. The seeds are fixed.
    """
    p = np.concatenate([p_values(ds, ds.m_pull_finite.values).ravel() for ds in (low, high)])
    assert p.size == 17
    assert p.min() > 1e-4 / p.size


def test_every_pull_with_examples(learnt):
    """m and n, the binomial law: no p-value of the six below 1e-4 / 6. The law of the papers is refused."""
    pulls = np.stack([learnt.m_pull_finite.values, learnt.n_pull_finite.values])
    assert p_values(learnt, pulls).min() > 1e-4 / pulls.size
    assert planted(learnt, T_LEARNT, learnt.attrs["protocol"], law="gaussian") < 1e-6
    assert planted(learnt, T_LEARNT, learnt.attrs["protocol"]) > 1e-4 / 3


def test_a_wrong_temperature_or_load_would_be_seen(low, high):
    """A T 5 % off shows at low load (p < 1e-6), one 10 % or a load 20 % too high at high load (p < 1e-5)."""
    assert planted(low, T_LOW, hot=1.05) < 1e-6
    assert planted(low, T_LOW, hot=0.95) < 1e-6
    for off in ({"gamma": 1.2}, {"hot": 1.1}):
        assert planted(high, T_HIGH, **off) < 1e-5, off


def test_the_shift_is_that_of_fewer_tuples(low):
    """At T' = 0.7 the shift of m from infinite N is refused as zero, and 1/N of it as theory at T'/s_N says."""
    at = low.sel(T=0.7)
    shift, error = (at.m - at.m_theory).values, at.m_error.values
    assert student.sf(-shift / error, at.samples.values - 1).max() < 1e-3
    N = at.N.values
    rate, error = shift * N, error * N
    told = (at.m_finite - at.m_theory).values * N
    w = error**-2
    assert abs(np.sum(w * (rate - told)) / np.sum(w)) < 4 * np.sum(w) ** -0.5 + 0.2 * abs(told).max()
    assert abs(np.sum(w * (rate - 2 * told)) / np.sum(w)) > 4 * np.sum(w) ** -0.5 + 0.2 * abs(told).max()


@pytest.mark.parametrize(("T", "share"), [(0.4, 0.01), (0.5, 0.02)])
def test_the_shift_of_one_pattern_exactly(T, share):
    """The sum over all states of N sites and one pattern: at low T its shift is that of T'/s_N, up to fluctuations."""
    for N in (250, 500, 1000):
        cell = _cell(1, N, 1)._replace(gamma=0.0)
        far, near = (expected([cell], [T], finite=finite)["m"][0, 0] for finite in (False, True))
        exact = _single(N, T) - far
        assert exact == pytest.approx(near - far, rel=share)
    assert dense_low_load.P == 4
