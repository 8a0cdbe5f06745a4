"""The equations of Thouless, Anderson and Palmer of one instance: themselves, other routes, enumeration, theory."""

from itertools import product

import numpy as np
import pytest

import mattis as mt


@pytest.mark.parametrize(
    ("alpha", "T", "m_sd", "q_sd"), [(0.05, 0.3, 9e-4, 1.5e-3), (0.03, 0.5, 2.8e-3, 4.3e-3), (0.1, 0.1, 1.2e-3, 1.1e-3)]
)
def test_retrieval_of_one_instance(alpha, T, m_sd, q_sd):
    """m and q of N = 4000 against the replica-symmetric ones (.991165, .936049, .99675; Amit, Gutfreund, Sompolinsky
    1987) to three standard deviations among eight instances, which fall as 1/sqrt N; and against ``mean_field``.
    """
    xi = mt.patterns(N=4000, K=round(alpha * 4000), seed=1)
    ds, theory = mt.TAP(xi, T=T, tol=3e-12), mt.solve(mt.Hopfield(alpha=alpha, T=T))
    assert ds.converged
    assert ds.overlap[0, 0, 0] == pytest.approx(float(theory.m), abs=3 * m_sd)
    assert ds.q.item() == pytest.approx(float(theory.q), abs=3 * q_sd)
    known = mt.mean_field(mt.OverlapEnergy.hebbian(xi), T=T, tol=3e-12)
    np.testing.assert_allclose(ds.average, known.average, atol=2e-11)
    assert (np.abs(ds.overlap[0, 0, 1:]) < 0.1).all()


def test_the_equation_written_out():
    """m_i = tanh beta(sum_{j != i} J_ij m_j - alpha C/(1 - C) m_i), C = beta (1 - q) (Mezard 2017), and M = sqrt(N/T)
    times the overlaps.
    """
    N, K, T = 400, 20, 0.4
    xi = mt.patterns(N=N, K=K, seed=4)
    ds = mt.TAP(xi, T=T, tol=1e-12)
    m, w = ds.average.values[0, 0], xi.values[0].astype(float)
    J = w.T @ w / N
    np.fill_diagonal(J, 0)
    C = (1 - np.mean(m**2)) / T
    np.testing.assert_allclose(m, np.tanh((J @ m - K / N * C / (1 - C) * m) / T), atol=1e-11)
    np.testing.assert_allclose(ds.hidden, np.sqrt(N / T) * ds.overlap, atol=1e-10)
    np.testing.assert_allclose(ds.overlap[0, 0], w @ m / N, atol=1e-14)
    assert not np.allclose(m, np.tanh((J @ m) / T), atol=1e-3)


@pytest.mark.parametrize(
    ("alpha", "d", "T", "m", "q"),
    [(0.02, 0.2, 0.1, 0.99860, 0.93409), (0.01, 0.3, 0.3, 0.95550, 0.71014), (0.03, 0.1, 0.1, 0.99981, 0.96615)],
)
def test_blanks(alpha, d, T, m, q):
    """Diluted patterns at N = 12000 (arXiv:1304.4488): overlap with the entries that are there, and q, to 1/sqrt N."""
    xi = mt.patterns(N=12000, K=round(alpha * 12000), d=d, seed=1)
    ds = mt.TAP(xi, T=T)
    there = float(np.mean(xi.values[0, 0] != 0))
    assert ds.converged
    assert ds.overlap[0, 0, 0].item() / there == pytest.approx(m, abs=12000**-0.5)
    assert ds.q.item() == pytest.approx(q, abs=12000**-0.5)
    assert ds.residual < 1e-10


def test_every_pattern_has_its_own_variance():
    """With one C for all patterns, m_i = tanh beta(... - alpha p/(1 - C) m_i), the state of blanks is another one."""
    N, K, T = 600, 6, 0.3
    xi = mt.patterns(N=N, K=K, d=0.3, seed=5)
    ds = mt.TAP(xi, T=T, tol=1e-12)
    m, w = ds.average.values[0, 0], xi.values[0].astype(float)
    own = (w**2) @ (1 - m**2) / (N * T)
    takes = (w**2).T @ (1 / (1 - own)) / (N * T)
    M = w @ m / np.sqrt(N * T)
    np.testing.assert_allclose(m, np.tanh(w.T @ M / np.sqrt(N * T) - takes * m), atol=1e-11)
    assert own[0] < own[1:].min()


def enumerated(w, h, hidden):
    """Averages of the spins by all their states: -beta H = sum x^2/2, or sum ln cosh x, x = w s, and h s."""
    s = np.array(list(product((-1, 1), repeat=w.shape[1])), float)
    x = s @ w.T
    weight = np.sum(0.5 * x**2 if hidden is None else np.log(np.cosh(x)), axis=1) + s @ h
    p = np.exp(weight - weight.max())
    return p @ s / p.sum()


@pytest.mark.parametrize("hidden", [None, "binary"])
def test_enumeration_at_high_temperature(hidden):
    """At fixed h/T the equations are right to first order in 1/T: the error falls as T^-2.

    Without the reaction of the spins on themselves it would be the diagonal, and fall as 1/T.
    """
    N, K = 9, 5
    xi = mt.patterns(N=N, K=K, d=0.2, seed=6).values[0]
    field = np.cos(1.0 + np.arange(N))
    errors, naive = [], []
    for T in (50.0, 100.0, 200.0):
        w = xi / np.sqrt(N * T)
        exact = enumerated(w, field, hidden)
        ds = mt.TAP(xi, T=T, hidden=hidden, h=field * T, start="random", tol=1e-14)
        errors.append(np.abs(ds.average[0, 0] - exact).max().item())
        m = ds.average.values[0, 0]
        naive.append(np.abs(np.tanh(field + w.T @ (w @ m)) - exact).max())
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.05)
    assert naive[1] / naive[2] == pytest.approx(2, rel=0.05)
    assert errors[2] < 0.05 * naive[2]


def test_second_order_against_enumeration():
    """One Gaussian hidden unit: at order 1/T^2 the reaction is sum_{j != i} w_i^2 w_j^2 (1 - m_j^2); ours has j = i
    too, 1/N of it. That term put back, the error falls as T^-3.
    """
    N = 11
    xi = np.where(np.arange(N) % 3, 1, -1)[None]
    field, errors = np.sin(2.0 + np.arange(N)), []
    for T in (40.0, 80.0, 160.0):
        ds = mt.TAP(xi, T=T, h=field * T, start="random", tol=1e-14)
        m = ds.average.values[0, 0]
        itself = (N * T) ** -2.0 * (1 - m**2) * m
        errors.append(np.abs(m + (1 - m**2) * itself - enumerated(xi / np.sqrt(N * T), field, None)).max())
    assert errors[0] / errors[1] == pytest.approx(8, rel=0.15)
    assert errors[1] / errors[2] == pytest.approx(8, rel=0.08)


def test_binary_hidden_units():
    """Both layers of a spin glass of Ising spins: m = tanh(w M - m sum w^2 (1 - M^2)), M = tanh(w m - M sum w^2
    (1 - m^2)); nothing but zero where T > sqrt(alpha).
    """
    N, K = 300, 60
    xi = mt.patterns(N=N, K=K, seed=7)
    h = 0.2 * np.sin(np.arange(N))
    ds = mt.TAP(xi, T=0.9, hidden="binary", h=h, tol=1e-12)
    w = xi.values[0] / np.sqrt(N * 0.9)
    m, M = ds.average.values[0, 0], ds.hidden.values[0, 0]
    np.testing.assert_allclose(m, np.tanh(h / 0.9 + w.T @ M - m * ((w**2).T @ (1 - M**2))), atol=1e-11)
    np.testing.assert_allclose(M, np.tanh(w @ m - M * (w**2 @ (1 - m**2))), atol=1e-11)
    free = mt.TAP(xi, T=[1.0, 0.3], hidden="binary", start="random")
    assert free.q[0, 0] < 1e-15
    assert free.q[0, 1] > 0.05


def test_what_has_not_converged_stays():
    """A glass, at T = 0.05 and alpha = 0.1 from a random start: marked, and not hidden."""
    xi = mt.patterns(N=500, K=50, seed=8)
    ds = mt.TAP(xi, T=[0.05, 1.9], start="random", max_steps=120)
    assert ds.converged.values.tolist() == [[False, True]]
    assert ds.n_steps[0, 0] == 120
    assert ds.residual[0, 0] > 1e-3
    assert (np.abs(ds.average) <= 1).all()


def test_samples_and_temperatures_are_independent():
    xi = mt.patterns(N=150, K=3, d=0.3, samples=2, seed=9)
    T = [0.2, 0.35, 0.5]
    ds = mt.TAP(xi, T=T, seed=4)
    assert dict(ds.sizes) == {"sample": 2, "T": 3, "mu": 3, "site": 150}
    assert ds.attrs["units"] == "gaussian"
    first = mt.TAP(xi.isel(sample=[0]), T=T[:1], seed=4)
    for name in ds.data_vars:
        np.testing.assert_allclose(ds[name][:1, :1], first[name], rtol=1e-13, err_msg=name)
    spins = np.where(xi.values[:, 0] < 0, -1, 1)
    given = mt.TAP(xi, T=T, start=spins)
    np.testing.assert_allclose(given.average, mt.TAP(xi, T=T, start=spins, seed=1).average, atol=0)
    assert given.attrs["start"] == "array"


def test_gauge():
    """xi_i -> -xi_i on some sites, with the start, turns their averages and nothing else."""
    xi = mt.patterns(N=200, K=4, seed=10)
    turn = np.where(np.arange(200) % 3 == 0, -1, 1)
    here, there = mt.TAP(xi, T=0.4), mt.TAP(xi * turn, T=0.4)
    np.testing.assert_allclose(there.average, here.average * turn, atol=1e-13)
    np.testing.assert_allclose(there.overlap, here.overlap, atol=1e-13)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"xi": np.ones((2, 5)) * 2}, r"^xi must be -1, 0 or 1, got 2.0 at index"),
        ({"xi": np.ones(5, int)}, r"^dimensions of xi must be 2 \(mu, site\) or 3"),
        ({"T": 0.0}, r"^T must be finite and > 0, got 0.0"),
        ({"T": [0.3, np.nan]}, r"^T must be finite and > 0, got nan at index \(1,\)$"),
        ({"hidden": "relu"}, r"^hidden must be None \(Gaussian\) or 'binary', got 'relu'$"),
        ({"h": np.inf}, r"^h must be finite, got inf$"),
        ({"h": [0.1, 0.2]}, r"^h must be a number or of shape \(5,\), got shape \(2,\)$"),
        ({"start": "cold"}, r"^start must be one of 'random', 'pattern'"),
        ({"tol": 0.0}, r"^tol must be finite and > 0, got 0.0$"),
        ({"max_steps": 0}, r"^max_steps must be in \[1, 2\^31\], got 0$"),
        ({"max_steps": 2.5}, r"^max_steps must be an integer in \[1, 2\^31\], got 2.5$"),
        ({"seed": -1, "start": "random"}, r"^seed must be in \[0, 2\^64\), got -1$"),
    ],
)
def test_what_is_refused(wrong, message):
    given = {"xi": np.array([[1, -1, 1, 1, -1]]), "T": 0.5} | wrong
    with pytest.raises((ValueError, TypeError), match=message):
        mt.TAP(given.pop("xi"), **given)
