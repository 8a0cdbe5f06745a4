"""The false-positive budget of this folder: a test that fails by chance does so once in a million changes."""

import numpy as np
import pytest
from scipy.stats import chi2

BUDGET = 1e-6
N_TESTS = 150  # at least the number of tests that compare a p-value; checked below
P_MIN = BUDGET / N_TESTS


def pytest_collection_modifyitems(items):
    here = [item for item in items if "p_min" in getattr(item, "fixturenames", ())]
    assert len(here) <= N_TESTS, f"{len(here)} tests share a budget for {N_TESTS}"


@pytest.fixture(scope="session")
def p_min():
    """A right program gives a smaller p-value in this test with probability 1e-6 / N_TESTS."""
    return P_MIN


@pytest.fixture(scope="session")
def chi_square():
    """p-value of counts given probabilities; classes are merged, rarest first, until 25 are expected."""

    def p_value(counts, probability):
        expected = counts.sum() * probability
        order = np.argsort(expected)
        group = np.floor(np.cumsum(expected[order]) / 25.0).astype(int)
        group = np.minimum(group, group[-1] - 1)
        _, group = np.unique(group, return_inverse=True)
        o = np.bincount(group, counts[order].astype(float))
        e = np.bincount(group, expected[order])
        assert e.size > 3
        return chi2.sf(np.sum((o - e) ** 2 / e), e.size - 1)

    return p_value
