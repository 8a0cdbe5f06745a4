"""The pseudo-inverse rule: its replica-symmetric equations in closed form, other routes to the same numbers, and MC."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

import mattis as mt
from mattis.theory.pseudo_inverse import reaction

LOADS = np.array([0.05, 0.2, 0.5, 0.8])


def R_of(w, alpha):
    """w R^2 - (w - 1) R - alpha = 0, the root that is alpha at w = 0 (the resolvent g(R + 1/w) = w of a projector)."""
    return (w - 1 + np.sqrt((1 + w) ** 2 - 4 * w * (1 - alpha))) / (2 * w)


def test_the_reaction_inverts_the_resolvent():
    """g(z) = (1 - alpha)/z + alpha/(z - 1) at z = R(w) + 1/w is w; R' and R'' by differences of fourth order."""
    w, alpha = np.meshgrid([1e-3, 0.3, 0.999, 1.0, 1.7, 40.0], LOADS)
    R, slope, curvature = reaction(w, alpha)
    z = R + 1 / w
    np.testing.assert_allclose((1 - alpha) / z + alpha / (z - 1), w, rtol=1e-11)
    step = 1e-3 * w
    shifted = [reaction(w + k * step, alpha) for k in (1, -1, 2, -2)]
    for i, found in ((0, slope), (1, curvature)):
        a, b, c, d = (s[i] for s in shifted)
        np.testing.assert_allclose((8 * (a - b) - (c - d)) / (12 * step), found, rtol=0, atol=1e-9)


def test_moments_of_a_projector():
    """R = alpha + alpha (1 - alpha) w + alpha (1 - alpha)(1 - 2 alpha) w^2 + ...: its free cumulants."""
    R, slope, curvature = reaction(np.zeros(LOADS.size), LOADS)
    variance = LOADS * (1 - LOADS)
    np.testing.assert_allclose(R, LOADS, rtol=1e-15)
    np.testing.assert_allclose(slope, variance, rtol=1e-15)
    np.testing.assert_allclose(curvature, 2 * variance * (1 - 2 * LOADS), rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize(
    ("alpha", "T", "m"), [(0.2, 0.3, 0.9889590903), (0.5, 0.15, 0.9970461801), (0.8, 0.05, 0.9991684286)]
)
def test_retrieval(alpha, T, m):
    """m = tanh[(1 - R(beta (1 - m^2))) m/T] (Kanter, Sompolinsky 1987), the root by bisection, and its f and u.

    By simulation at N = 2000 and zero diagonal m is .98827 at (.2, .3) and .99647 at (.5, .15).
    """
    point = mt.solve(mt.PseudoInverse(alpha=alpha, T=T))
    root = brentq(lambda y: np.tanh((1 - R_of((1 - y * y) / T, alpha)) * y / T) - y, 0.998 * m, 1 - 1e-9, xtol=1e-15)
    assert point.m == pytest.approx(root, abs=1e-13)
    assert point.m == pytest.approx(m, abs=5.1e-11)
    assert point.q == pytest.approx(m**2, abs=2e-10)
    C = (1 - root**2) / T
    R, G = R_of(C, alpha), quad(R_of, 0, C, args=(alpha,), epsabs=1e-14)[0]
    signal = (1 - R) * root
    f = 0.5 * ((1 - 2 * R) * root**2 - T * G + alpha) - T * np.log(2 * np.cosh(signal / T))
    assert point.free_energy == pytest.approx(f, abs=1e-12)
    assert point.energy == pytest.approx(0.5 * (alpha - root**2 - (1 - root**2) * R), abs=1e-12)


def test_replicon_of_retrieval():
    """C^2 R' = [1 - (1 + C (2 alpha - 1))/S]/2 < 1: retrieval and the paramagnet are stable at every load and T."""
    T = np.array([0.02, 0.1, 0.4])[:, None]
    for start in ("retrieval", "paramagnet"):
        found = mt.solve(mt.PseudoInverse(alpha=LOADS, T=T), start)
        C = (1 - found.q) / T
        S = np.sqrt((1 - C) ** 2 + 4 * LOADS * C)
        np.testing.assert_allclose(1 - found.replicon, 0.5 * (1 - (1 + C * (2 * LOADS - 1)) / S), atol=1e-13)
        assert (found.replicon > 0).all()


def test_zero_temperature():
    """Patterns are fixed points at every load: u = -(1 - alpha)/2, the aligned field 1 - alpha."""
    cold = mt.solve(mt.PseudoInverse(alpha=LOADS, T=0.0))
    assert cold.m.tolist() == [1.0] * 4
    np.testing.assert_allclose(cold.energy, -(1 - LOADS) / 2, rtol=1e-15)
    np.testing.assert_allclose(cold.free_energy, -(1 - LOADS) / 2, rtol=1e-15)
    assert np.isnan(mt.spinodal(mt.PseudoInverse, along="alpha", T=0.0).alpha)


def test_energy_of_a_pattern_under_its_couplings():
    """Of finite N exactly: -(1/2N) sum_{i != j} J_ij xi_i xi_j = -(1 - alpha)/2, as tr J = K."""
    xi = mt.patterns(N=60, K=18, seed=3).values[0].astype(float)
    J = np.linalg.pinv(xi) @ xi
    assert np.trace(J) == pytest.approx(18, rel=1e-12)
    np.fill_diagonal(J, 0)
    energy = -0.5 * np.einsum("ki,ij,kj->k", xi, J, xi) / 60
    np.testing.assert_allclose(energy, mt.solve(mt.PseudoInverse(alpha=0.3, T=0.0)).energy, rtol=1e-12)


def test_high_temperature_series():
    """f = -T ln 2 - T [G(beta) - alpha beta]/2, and the series in beta from the free cumulants of J."""
    T = np.array([20.0, 10.0])
    for alpha in LOADS:
        hot = mt.solve(mt.PseudoInverse(alpha=alpha, T=T), "paramagnet")
        v = alpha * (1 - alpha)
        rest = hot.free_energy + T * np.log(2) + 0.25 * v / T + v * (1 - 2 * alpha) / (6 * T**2)
        assert rest[1] / rest[0] == pytest.approx(8, rel=0.1)
        assert hot.entropy == pytest.approx(np.log(2) - 0.25 * v / T**2, rel=1e-4)


@pytest.mark.parametrize(("alpha", "T", "m"), [(0.1, 0.592729, 0.742809), (0.5, 0.200112, 0.958155)])
def test_spinodal(alpha, T, m):
    """Where m = tanh[(1 - R) m/T] loses its root; along the load and along T it is the same point."""
    fold = mt.spinodal(mt.PseudoInverse, along="T", alpha=alpha)
    assert pytest.approx(T, abs=5.1e-7) == fold.T
    assert fold.m == pytest.approx(m, abs=5.1e-7)
    back = mt.spinodal(mt.PseudoInverse, along="alpha", T=fold.T)
    assert back.alpha == pytest.approx(alpha, abs=1e-10)
    inside, outside = (mt.solve(mt.PseudoInverse(alpha=alpha, T=k * fold.T)) for k in (1 - 1e-7, 1 + 1e-7))
    assert (inside.label, outside.label) == ("retrieval", "paramagnet")


def test_one_pattern_is_the_magnet_of_curie_and_weiss():
    T = np.array([0.0, 0.2, 0.7, 1.3])
    for start, magnet in (("retrieval", "ferromagnet"), ("paramagnet", "paramagnet")):
        here, there = mt.solve(mt.PseudoInverse(alpha=0.0, T=T), start), mt.solve(mt.CurieWeiss(T=T), magnet)
        for name in ("m", "free_energy", "energy", "entropy"):
            np.testing.assert_allclose(getattr(here, name), getattr(there, name), atol=1e-12, err_msg=name)
    assert pytest.approx(1, abs=1e-12) == mt.spinodal(mt.PseudoInverse, along="T", alpha=0.0).T


def test_the_paramagnet_gives_way_before_its_entropy_is_negative():
    """A state of equilibrium of spins has s >= 0; retrieval takes over first, by a jump."""
    line = mt.transition(mt.PseudoInverse, between=("retrieval", "paramagnet"), along="T", alpha=LOADS)
    free = mt.solve(mt.PseudoInverse(alpha=LOADS, T=line.T), "paramagnet")
    np.testing.assert_allclose(free.free_energy, line.free_energy, atol=1e-12)
    assert (free.entropy > line.entropy).all()
    assert (line.entropy >= 0).all()
    assert (mt.spinodal(mt.PseudoInverse, along="T", alpha=LOADS).T > line.T).all()


def test_the_glass_at_zero_temperature():
    """Delta C^2 = 2/pi with Delta = R'(C): C^2 R' -> 1 - alpha, so a glass needs alpha < 1 - 2/pi = 0.36338."""
    alpha = np.array([0.1, 0.3, 0.363, 0.364, 0.5])
    glass = mt.solve(mt.PseudoInverse(alpha=alpha, T=0.0), "spin_glass")
    assert glass.label.tolist() == ["spin_glass"] * 3 + ["paramagnet"] * 2
    assert (glass.replicon[:3] == -np.inf).all()

    def gap(C):
        S = np.sqrt((1 - C) ** 2 + 0.4 * C)
        return 0.5 * (1 - (1 - 0.8 * C) / S) - 2 / np.pi

    C = brentq(gap, 0.1, 50, xtol=1e-14)
    R = R_of(C, 0.1)
    assert glass.energy[0] == pytest.approx(0.5 * (0.1 - R - 2 / (np.pi * C)), abs=1e-11)


def test_half_of_the_random_orthogonal_model():
    """alpha = 1/2: J - 1/2 is half of a random orthogonal matrix (Marinari, Parisi, Ritort, J. Phys. A 27 (1994) 7647).

    With x = beta/2 its -beta f is ln 2 + [sqrt(1 + 4 x^2) - ln((1 + sqrt(1 + 4 x^2))/2) - 1]/4 in the annealed phase.
    """
    T = np.array([0.3, 0.9, 2.5])
    root = np.sqrt(1 + 1 / T**2)
    known = -T * (np.log(2) + 0.25 * (root - np.log((1 + root) / 2) - 1))
    np.testing.assert_allclose(mt.solve(mt.PseudoInverse(alpha=0.5, T=T), "paramagnet").free_energy, known, rtol=1e-13)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"alpha": -0.1}, r"^alpha must be finite and in \[0, 1\), got -0.1$"),
        ({"alpha": [0.2, 1.0]}, r"^alpha must be finite and in \[0, 1\), got 1.0 at index \(1,\)$"),
        ({"alpha": np.nan}, r"^alpha must be finite and in \[0, 1\), got nan$"),
        ({"T": -0.1}, r"^T must be finite and >= 0, got -0.1$"),
        ({"T": "cold"}, r"^T must be a real number or an array of them, finite and >= 0, got 'cold'$"),
        ({"alpha": [0.1, 0.2], "T": [0.1, 0.2, 0.3]}, r"^the parameters must broadcast together, got alpha of shape"),
    ],
)
def test_what_is_refused(wrong, message):
    with pytest.raises((ValueError, TypeError), match=message):
        mt.PseudoInverse(**{"alpha": 0.3, "T": 0.2} | wrong)


def test_no_boundary_of_the_glass():
    with pytest.raises(NotImplementedError, match="no closed form"):
        mt.spinodal(mt.PseudoInverse, along="alpha", of="spin_glass", T=0.1)
