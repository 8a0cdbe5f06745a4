"""Distances of nearly coincident inputs, against 150 digits at the same double-precision inputs."""

import mpmath as mp
import numpy as np
import pytest

import mattis as mt

nn = mt.nn
GAPS = (1e-12, 1e-9, 1e-6, 1e-4, 1e-2, 0.3, 3.0)


def abrelu(al, be):
    def averages(a, k, b):
        s = mp.sqrt(max(a * b - k * k, mp.mpf(0)))
        theta, C = mp.atan2(s, k), (mp.mpf(al) - mp.mpf(be)) ** 2 / (2 * mp.pi)
        slope = (mp.mpf(al) ** 2 + mp.mpf(be) ** 2) / 2 - C * theta
        return C * s + slope * k, slope

    return averages


def erf(a, k, b):
    h = (1 + 2 * a) * (1 + 2 * b)
    return 2 / mp.pi * mp.asin(2 * k / mp.sqrt(h)), 4 / mp.pi / mp.sqrt(h - 4 * k * k)


def exact(x, y, steps, sigma_w, sigma_b):
    """(a, k, b) of the NNGP and of the NTK, the textbook recursion."""
    w, c = mp.mpf(sigma_w) ** 2, mp.mpf(sigma_b) ** 2
    inner = [sum(mp.mpf(u) * mp.mpf(v) for u, v in zip(p, q, strict=True)) for p, q in ((x, x), (x, y), (y, y))]
    q = [w * value / len(x) + c for value in inner]
    t = list(q)
    for averages in steps:
        a, k, b = q
        found = [averages(a, a, a), averages(a, k, b), averages(b, b, b)]
        q = [w * V + c for V, _ in found]
        t = [q_ + w * slope * t_ for q_, (_, slope), t_ in zip(q, found, t, strict=True)]
    return q, t


def relative(value, want):
    return abs(float(mp.mpf(float(value)) / want - 1))


CASES = [
    ("relu critical", nn.Relu(), abrelu(0, 1), 2**0.5, 0.0),
    ("relu", nn.Relu(), abrelu(0, 1), 1.4, 0.1),
    ("leaky relu", nn.LeakyRelu(0.1), abrelu(0.1, 1.0), 1.5, 0.3),
    ("abrelu", nn.ABRelu(-0.5, 1.2), abrelu(-0.5, 1.2), 1.0, 0.3),
    ("erf", nn.Erf(), erf, 1.5, 0.3),
    ("erf ordered", nn.Erf(), erf, 0.8, 0.3),
    ("erf chaotic", nn.Erf(), erf, 3.0, 0.0),
]


@pytest.mark.parametrize("depth", [1, 5, 20, 100])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_at_any_distance(case, depth):
    """nngp_sqdist and ntk_sqdist to 1e-12 (1e-13 is reached), and the kernels of all pairs."""
    _, activation, averages, sigma_w, sigma_b = case
    net = nn.mlp(hidden_layers=depth, activation=activation, sigma_w=sigma_w, sigma_b=sigma_b)
    x = np.random.default_rng(1).standard_normal(7)
    rows = np.array([x, *(x + gap * np.eye(7)[0] for gap in GAPS)])
    whole, apart = net.kernel(rows, stable=True), net.kernel(rows[:1], rows[1:], stable=True)
    for i in range(1, len(rows)):
        for pair, at in ((whole, (0, i)), (apart, (0, i - 1))):
            check(pair, at, x, rows[i], averages, depth, sigma_w, sigma_b)


def test_units_of_both_kinds():
    """A ReLU layer between two Erf layers, and an Erf with amplitude, rate and offset."""
    dense = nn.Dense(sigma_w=1.3, sigma_b=0.2)
    net = nn.serial(dense, nn.Erf(1.2, 0.7, 0.4), dense, nn.Relu(), dense, nn.Erf(), dense)

    def scaled(a, k, b):
        A, B, c = (mp.mpf(v) for v in (1.2, 0.7, 0.4))
        V, slope = erf(B * B * a, B * B * k, B * B * b)
        return A * A * V + c * c, A * A * B * B * slope

    x = np.random.default_rng(2).standard_normal(5)
    with mp.workdps(100):
        for gap in (1e-9, 1e-4, 0.5):
            y = x + gap * np.eye(5)[2]
            q, t = exact(x.tolist(), y.tolist(), [scaled, abrelu(0, 1), erf], 1.3, 0.2)
            pair = net.kernel(np.array([x, y]), stable=True)
            assert relative(pair.nngp_sqdist.values[1, 0], q[0] + q[2] - 2 * q[1]) < 1e-13
            assert relative(pair.ntk_sqdist.values[1, 0], t[0] + t[2] - 2 * t[1]) < 1e-13


ABRELUS = {
    "relu": (nn.Relu(), (0, 1)),
    "leaky relu": (nn.LeakyRelu(0.1), (0.1, 1.0)),
    "abrelu": (nn.ABRelu(-0.5, 1.2), (-0.5, 1.2)),
    "abs": (nn.Abs(), (-1, 1)),
}
X, U = (np.random.default_rng(seed).standard_normal(7) for seed in (1, 2))


def check(pair, at, x, y, averages, depth, sigma_w, sigma_b):
    """All four arrays of one pair to 1e-13, where 1 - rho > 1e-2 to 4e-13 and 5e-14 times the ratio of sqrt q."""
    with mp.workdps(150):
        first, _ = exact(x.tolist(), y.tolist(), [], sigma_w, sigma_b)
        scale, ratio = mp.sqrt(first[0] * first[2]), float(mp.sqrt(first[0] / first[2]))
        far = abs(1 - first[1] / scale) > 0.01
        bound = 4e-13 + 5e-14 * max(ratio, 1 / ratio) if far else 1e-13
        q, t = exact(x.tolist(), y.tolist(), [averages] * depth, sigma_w, sigma_b)
        assert relative(pair.nngp_sqdist.values[at], q[0] + q[2] - 2 * q[1]) < bound
        assert relative(pair.ntk_sqdist.values[at], t[0] + t[2] - 2 * t[1]) < bound
        assert relative(pair.nngp.values[at], q[1]) < bound
        assert relative(pair.ntk.values[at], t[1]) < bound


@pytest.mark.parametrize("depth", [1, 5, 20, 100])
@pytest.mark.parametrize(("sigma_w", "sigma_b"), [(2**0.5, 0.0), (1.3, 0.2)])
@pytest.mark.parametrize("unit", ABRELUS)
def test_lengths(unit, sigma_w, sigma_b, depth):
    """Pairs that differ in length: by little, alone or beside a small angle, exactly, by much, and from zero."""
    activation, slopes = ABRELUS[unit]
    net = nn.mlp(hidden_layers=depth, activation=activation, sigma_w=sigma_w, sigma_b=sigma_b)
    whole = np.array([3.0, 6.0, -2.0, 1.0, 0.0, 5.0, 7.0])
    others = [X * (1 + gap) for gap in (1e-12, 1e-9, 1e-6, 1e-3, 0.1)]
    others += [3 * X, 1e3 * X, 3 * X + 1e-7 * U, 3 * X + 0.1 * U, X * (1 + 1e-6) + 1e-9 * U]
    pairs = [(X, y) for y in others] + [(whole, whole * (1 + 2.0**-40)), (np.eye(7)[0], 3 * np.eye(7)[0])]
    if sigma_b:
        pairs += [(X, 0 * X), (1e-7 * X, 0 * X)]
    for x, y in pairs:
        check(net.kernel(np.array([x, y]), stable=True), (1, 0), x, y, abrelu(*slopes), depth, sigma_w, sigma_b)


@pytest.mark.parametrize("depth", [1, 5, 20, 100])
@pytest.mark.parametrize(("sigma_w", "sigma_b"), [(2**0.5, 0.0), (1.3, 0.2)])
@pytest.mark.parametrize("ratio", [1.0, 1.3, 30.0, 1e3, 1e6])
def test_pairs_that_are_not_close(ratio, sigma_w, sigma_b, depth):
    """Angles from 0.05 on between inputs whose lengths have any ratio."""
    net = nn.mlp(hidden_layers=depth, activation=nn.Relu(), sigma_w=sigma_w, sigma_b=sigma_b)
    rows = np.array([X, *(ratio * (X + gap * U) for gap in (0.05, 0.1, 0.2, 0.5, 3.0))])
    pair = net.kernel(rows, stable=True)
    for i in range(1, len(rows)):
        check(pair, (0, i), X, rows[i], abrelu(0, 1), depth, sigma_w, sigma_b)


@pytest.mark.parametrize("depth", [1, 5, 20, 100])
@pytest.mark.parametrize("gap", [1e-12, 1e-9, 1e-6, 1e-3, 1e-2, 0.3])
def test_opposite_inputs_of_abs(gap, depth):
    """Without a bias before it, an even unit has the kernel of x and -y: these are close."""
    net = nn.serial(nn.Dense(), nn.Abs(), *[nn.Dense(sigma_w=1.2, sigma_b=0.3), nn.Abs()] * (depth - 1), nn.Dense())
    for y in (-X + gap * U, -3 * X + gap * U):
        turned = net.kernel(np.array([X, -y]), stable=True)
        found = net.kernel(np.array([X, y]), stable=True)
        for name in ("nngp_sqdist", "ntk_sqdist", "nngp", "ntk"):
            assert abs(getattr(found, name)[0, 1] / getattr(turned, name)[0, 1] - 1) < 1e-13
    net = nn.mlp(hidden_layers=depth, activation=nn.Abs(), sigma_w=1.2)
    y = -X + gap * U
    check(net.kernel(np.array([X, y]), stable=True), (0, 1), X, y, abrelu(-1, 1), depth, 1.2, 0.0)


@pytest.mark.parametrize("depth", [1, 3, 10, 40])
@pytest.mark.parametrize("stable", [False, True])
@pytest.mark.parametrize("activation", [nn.Relu(), nn.Abs(), nn.Erf()], ids=["relu", "abs", "erf"])
@pytest.mark.parametrize("length", [1.0, 1e4, 1e8])
def test_diagonals_and_duplicates(activation, stable, depth, length):
    """The diagonal to 1e-14 of the exact recursion; a duplicated row is that diagonal, at distance zero."""
    net = nn.mlp(hidden_layers=depth, activation=activation, sigma_w=1.4, sigma_b=0.1)
    x = length * np.random.default_rng(3).standard_normal((9, 13))
    x[6] = x[2]
    pair, apart = net.kernel(x, stable=stable), net.kernel(x[:3], x[2:], stable=stable)
    averages = {"ABRelu": lambda a: abrelu(activation.al, activation.be), "Erf": lambda a: erf}[
        type(activation).__name__
    ](0)
    with mp.workdps(40):
        for i in range(9):
            q, t = exact(x[i].tolist(), x[i].tolist(), [averages] * depth, 1.4, 0.1)
            assert relative(pair.nngp.values[i, i], q[0]) < 1e-14
            assert relative(pair.ntk.values[i, i], t[0]) < 1e-14
    for twice in (pair.ntk.values[6, 2], apart.ntk.values[2, 0], apart.ntk.values[2, 4]):
        assert abs(twice / pair.ntk.values[2, 2] - 1) < 1e-14
    if stable:
        assert pair.ntk_sqdist.values[6, 2] == pair.nngp_sqdist.values[2, 6] == pair.ntk_sqdist.values[4, 4] == 0


def test_the_measure_catches_a_difference_of_kernels():
    """A planted fault: forming the distance from K loses eps q/D of it."""
    net = nn.mlp(hidden_layers=3, activation=nn.Relu(), sigma_w=1.4, sigma_b=0.1)
    x = np.random.default_rng(1).standard_normal(7)
    y = x + 1e-6 * np.eye(7)[0]
    k = net.kernel(np.array([x, y]), stable=True).nngp.values
    with mp.workdps(50):
        q, _ = exact(x.tolist(), y.tolist(), [abrelu(0, 1)] * 3, 1.4, 0.1)
        assert relative(k[0, 0] + k[1, 1] - 2 * k[0, 1], q[0] + q[2] - 2 * q[1]) > 1e-6
