"""What the figures of dense networks against simulation rest on: pulls, planted errors, and the trend with N."""

import numpy as np
import pytest
from scipy.stats import t as student

from mattis.figures._dense_runs import Cell, compared, expected
from mattis.figures.dense_low_load import _cell, _single

T_LOW, T_HIGH, T_LEARNT = [0.5, 0.65, 0.75], [0.4, 0.5], [0.2]
SIZES = (125, 250, 500, 1000)
HIGH = [Cell(4, 100, 0.05, 256), Cell(4, 100, 0.1, 256), Cell(4, 140, 0.1, 48), Cell(4, 200, 0.1, 12)]
LEARNT = [Cell(4, 100, 0.05, 32, 0.8, 5), Cell(4, 100, 0.05, 32, 0.8, 9), Cell(2, 500, 0.03, 32, 0.8, 5)]
ALPHA = 1e-4  # of a test, with fresh seeds; the seeds are fixed


@pytest.fixture(scope="module")
def low():
    """K = N patterns."""
    return compared([_cell(1, N, 48) for N in SIZES], T_LOW, sweeps=120, seed=3)


@pytest.fixture(scope="module")
def high():
    """K ~ N^3 patterns: 66667 of 200 sites."""
    return compared(HIGH, T_HIGH, sweeps=40, seed=4)


@pytest.fixture(scope="module", params=["supervised", "unsupervised"])
def learnt(request):
    """Five and nine examples per pattern."""
    return compared(LEARNT, T_LEARNT, request.param, sweeps=40, seed=5)


def p_value(ds, name, m):
    """Two-sided, smallest of all points: a pull is Student's with samples - 1 degrees of freedom; Bonferroni."""
    pull = np.abs(ds[name] - m) / ds[f"{name}_error"]
    return float((2 * student.sf(pull, ds.samples.values[:, None] - 1)).min()) * pull.size


def planted(ds, T, *, gamma=1.0, hot=1.0, law="binomial"):
    """The p-value of the same simulations against a theory that is off."""
    fields = zip(*(ds[name].values for name in Cell._fields), strict=True)
    cells = [Cell(P, N, g * gamma, S, r, M) for P, N, g, S, r, M in fields]
    return p_value(ds, "m", expected(cells, [hot * t for t in T], ds.attrs["protocol"], law, finite=True)["m"])


def single():
    """m of one pattern by size and T, summed over all states."""
    return np.array([[_single(N, T) for T in T_LOW] for N in SIZES])


def test_every_pull_at_low_load(low):
    """K = N is like one pattern, whose sum is exact."""
    assert not low.lost.any()
    assert p_value(low, "m", single()) > ALPHA


def test_every_pull_at_high_load(high):
    """Against theory at gamma/s_N and T/s_N."""
    assert p_value(high, "m", high.m_finite) > ALPHA


def test_every_pull_with_examples(learnt):
    """m and n; the Gaussian law of the mean example is refused."""
    assert p_value(learnt, "m", learnt.m_finite) > ALPHA
    assert p_value(learnt, "n", learnt.n_finite) > ALPHA
    assert planted(learnt, T_LEARNT, law="gaussian") < 1e-6


def test_a_wrong_temperature_or_load_would_be_seen(low, high):
    """A T' 5 % off, at low and at high load, and a load 20 % off: 1 - m of these networks is a few thousandths."""
    for ds, T in ((low, T_LOW), (high, T_HIGH)):
        for hot in (0.95, 1.05):
            assert planted(ds, T, hot=hot) < 1e-6, hot
    for gamma in (0.8, 1.2):
        assert planted(high, T_HIGH, gamma=gamma) < 1e-6, gamma


def test_the_shift_at_high_load_is_that_of_fewer_tuples(high):
    """At T' = 0.5 theory of infinite N is refused, and so are half and twice the correction s_N makes."""
    at = high.sel(T=[0.5])
    shift = at.m_finite - at.m_theory
    for share in (0, 0.5, 2):
        assert p_value(at, "m", at.m_theory + share * shift) < 1e-6, share


@pytest.mark.parametrize(("r", "M", "alike"), [(0.8, 9, True), (0.7, 3, False)])
def test_where_the_examples_are_retrieved_singly(r, M, alike):
    """One pattern, 2000 sites: overlaps with its examples agree where example_gain = 0.04, and one wins at 0.81."""
    ds = compared([Cell(4, 2000, 0.0, 16, r, M)], [0.5], "unsupervised", sweeps=100, seed=6).isel(cell=0, T=0)
    if alike:
        assert ds.largest < 1.06 * ds.n
        assert abs(ds.m_pull_finite) < student.isf(ALPHA / 2, 15)
    else:
        assert ds.largest == pytest.approx(M * r / (M * r**2 + 1 - r**2), rel=0.01)  # the state is one example
        assert ds.m == pytest.approx(r, abs=0.02)


@pytest.mark.parametrize(("T", "share"), [(0.4, 0.01), (0.5, 0.02)])
def test_the_shift_of_one_pattern_exactly(T, share):
    """At low T the sum over all states of one pattern moves with N as theory at T'/s_N does, up to fluctuations."""
    for N in SIZES[1:]:
        cell = _cell(1, N, 1)._replace(gamma=0.0)
        far, near = (expected([cell], [T], finite=finite)["m"][0, 0] for finite in (False, True))
        assert _single(N, T) - far == pytest.approx(near - far, rel=share)
