"""Non-overlapping convolutional networks: kernels, spectra and learning curves (arXiv:2208.01003)."""

from decimal import Decimal, localcontext
from math import pi

import numpy as np
import pytest

from mattis.core.errors import ConvergenceError
from mattis.theory.kernels.hierarchical import HierarchicalCNN, normalise_patches
from mattis.theory.kernels.teacher_student import expected_error


def patches(n, p, s, key):
    return normalise_patches(np.random.Generator(np.random.Philox(key=key)).standard_normal((n, p, s)))


def kappa(t):
    angle = np.arccos(np.clip(t, -1, 1))
    return (pi - angle) / pi, (t * (pi - angle) + np.sin(angle)) / pi


def by_recursion(filters, t):
    """(K, Theta) of one pair from the cosines t of its patches, node by node as the paper draws the tree."""

    def node(layer, first):
        if layer == 0:
            return t[first], t[first]
        size = int(np.prod(filters[1:layer], dtype=int))
        children = [first] if layer == 1 else range(first, first + size * filters[layer - 1], size)
        if layer > 1:
            size = int(np.prod(filters[1 : layer - 1], dtype=int))
            children = [first + c * size for c in range(filters[layer - 1])]
        K, T = np.mean([node(layer - 1, c) for c in children], axis=0)
        slope, value = kappa(K)
        return value, value + T * slope

    top = int(np.prod(filters[1:], dtype=int))
    return np.mean([node(len(filters), first) for first in range(0, len(t), top)], axis=0)


# --- kernels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "p"), [((3,), 1), ((2,), 5), ((3, 2), 2), ((2, 3), 6), ((4, 2, 3), 12), ((2, 2, 1, 2), 4)]
)
def test_against_the_recursion(filters, p):
    net, x1, x2 = HierarchicalCNN(filters), patches(7, p, filters[0], 1), patches(131, p, filters[0], 2)
    found = net.kernel(x1, x2)
    for i, j in [(0, 0), (6, 130), (3, 127), (2, 128)]:
        K, T = by_recursion(filters, (x1[i] * x2[j]).sum(axis=1))
        assert found.nngp.values[i, j] == pytest.approx(K, abs=1e-15)
        assert found.ntk.values[i, j] == pytest.approx(T, abs=4e-15)


def test_one_set_of_inputs_and_its_diagonal():
    """The symmetric path of a size that ends inside a strip; equal inputs give 1 and L + 1 to the last digit."""
    net, x = HierarchicalCNN((3, 2, 2)), patches(150, 8, 3, 3)
    one, two = net.kernel(x), net.kernel(x, x)
    for name, top in (("nngp", 1.0), ("ntk", 4.0)):
        assert (np.diag(one[name]) == top).all()
        np.testing.assert_array_equal(one[name], one[name].T)
        np.testing.assert_allclose(one[name], two[name], rtol=0, atol=5e-16)
        assert np.linalg.eigvalsh(one[name])[0] > 0
    order = np.random.Generator(np.random.Philox(key=4)).permutation(150)
    np.testing.assert_allclose(net.kernel(x[order]).ntk, one.ntk.values[np.ix_(order, order)], rtol=0, atol=2e-15)


def test_near_duplicates():
    """Theta of patches 1e-7 apart against Decimal arithmetic: from t in floats the angle would be off by 1e-9."""
    x = np.array([[[0.6, 0.8]], [[0.6 - 8e-8, np.sqrt(1 - (0.6 - 8e-8) ** 2)]]])
    found = HierarchicalCNN((2,)).kernel(x)
    with localcontext() as context:
        context.prec = 50
        a, b = ([Decimal(float(v)) for v in row[0]] for row in x)
        gap = sum((u - v) ** 2 for u, v in zip(a, b, strict=True)).sqrt()
        angle, c = float(gap + gap**3 / 24), float(gap**2 / 2)  # |a - b| = 2 sin(angle/2), a.b = 1 - c
    assert angle == pytest.approx(1e-7, rel=1e-3)
    assert float(found.ntk[0, 1]) == pytest.approx(2 - 2 * c - (1 - c) * angle / pi, abs=4.5e-16)
    assert float(found.nngp[0, 1]) == pytest.approx(1 - c, abs=2.3e-16)


def test_only_relations_between_patches_matter():
    """A rotation of each patch, the same for both inputs, changes nothing, nor does an exchange inside a node."""
    net, x1, x2 = HierarchicalCNN((3, 2, 2)), patches(5, 4, 3, 5), patches(6, 4, 3, 6)
    turns = np.linalg.qr(np.random.Generator(np.random.Philox(key=7)).standard_normal((4, 3, 3)))[0]
    before = net.kernel(x1, x2).ntk.values
    turned = net.kernel(*(normalise_patches(np.einsum("pij,npj->npi", turns, x)) for x in (x1, x2))).ntk
    np.testing.assert_allclose(turned, before, atol=4e-15)
    np.testing.assert_allclose(net.kernel(x1[:, [3, 2, 0, 1]], x2[:, [3, 2, 0, 1]]).ntk, before, atol=4e-15)
    assert abs(net.kernel(x1[:, [0, 2, 1, 3]], x2[:, [0, 2, 1, 3]]).ntk.values - before).max() > 1e-3


def finite_network(width, nets, x, seed):
    """Mean and error of the empirical (K, Theta) of two inputs x (2, 4, 2) under filters (2, 2), shared weights."""
    rng, n = np.random.Generator(np.random.Philox(key=[seed, width])), width
    W1, W2 = rng.standard_normal((nets, n, 2)), rng.standard_normal((nets, 2, n, n), dtype=np.float32).astype(float)
    a = rng.standard_normal((nets, 2, n))
    h1, h2, d1, d2 = [], [], [], []
    for one in x:
        pre1 = np.einsum("mhs,jcs->mjch", W1, one.reshape(2, 2, 2))
        h1.append(2**0.5 * np.maximum(pre1, 0))
        pre2 = np.einsum("mchk,mjck->mjh", W2, h1[-1], optimize=True) / np.sqrt(2 * n)
        h2.append(2**0.5 * np.maximum(pre2, 0))
        d2.append(a * 2**0.5 * (pre2 > 0) / np.sqrt(2 * n))
        back = np.einsum("mchk,mjh->mjck", W2, d2[-1], optimize=True) / np.sqrt(2 * n)
        d1.append(back * 2**0.5 * (pre1 > 0))
    K = (h2[0] * h2[1]).sum(axis=(1, 2)) / (2 * n)
    errors = np.einsum("mih,mjh->mij", d2[0], d2[1])
    inner = np.einsum("mich,mjch->mij", h1[0], h1[1], optimize=True) / (2 * n)
    first = np.einsum("mich,mjdh,ics,jds->m", d1[0], d1[1], *(v.reshape(2, 2, 2) for v in x), optimize=True)
    theta = K + (errors * inner).sum(axis=(1, 2)) + first
    values = np.stack([K, theta])
    return values.mean(axis=1), values.std(axis=1, ddof=1) / np.sqrt(nets)


def test_finite_networks_tend_to_the_kernels():
    """Widths 16, 32, 64, 128 with a 1/n fit: two intercepts within 4.4 standard errors (1e-5 each)."""
    x, widths = patches(2, 4, 2, 8), np.array([16, 32, 64, 128])
    runs = [finite_network(w, m, x, seed=9) for w, m in zip(widths, (6000, 2500, 1000, 350), strict=True)]
    limit = HierarchicalCNN((2, 2)).kernel(x)
    for i, name in enumerate(("nngp", "ntk")):
        mean, error = (np.array([run[k][i] for run in runs]) for k in (0, 1))
        design = np.stack([np.ones(4), 1 / widths], axis=1) / error[:, None]
        covariance = np.linalg.inv(design.T @ design)
        intercept = (covariance @ design.T @ (mean / error))[0]
        assert covariance[0, 0] ** 0.5 < 0.012
        assert abs(intercept - float(limit[name][0, 1])) < 4.4 * covariance[0, 0] ** 0.5


# --- spectra ---------------------------------------------------------------------------------------------------------


def test_spectrum_of_two_circles():
    """Fourier modes of the kernel on (S^1)^2: (k, k) decays as k^-(2 nu + 2), (k, 0) as k^-(2 nu + 1)."""
    net, n = HierarchicalCNN((2, 2)), 1024
    angle = 2 * pi * np.arange(n) / n
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    grid = np.stack(np.broadcast_arrays(circle[:, None], circle[None, :]), axis=2).reshape(-1, 2, 2)
    grid = grid / np.linalg.norm(grid, axis=2, keepdims=True)
    kernel = net.kernel(np.array([[[1.0, 0.0], [1.0, 0.0]]]), grid)
    for kind in ("nngp", "ntk"):
        modes = np.fft.rfft2(kernel[kind].values.reshape(n, n)).real / n**2
        k = np.array([24, 48])
        for values, layer, tolerance in ((modes[k, k], 2, 0.05), (modes[k, 0], 1, 0.15)):
            slope = np.diff(np.log(values))[0] / np.log(2)
            assert slope == pytest.approx(-net.exponent(layer, kind), abs=tolerance)
        assert modes[:40, :40].min() > 0


def test_exponents_count_dimensions():
    net = HierarchicalCNN((3, 2, 4))
    assert [net.effective_dimension(layer) for layer in (1, 2, 3)] == [2, 4, 16]
    assert [net.exponent(layer, "ntk") for layer in (1, 2, 3)] == [3.0, 5.0, 17.0]
    assert net.exponent(2, "nngp") == 7.0
    assert net.learning_exponent(3, teacher="nngp", student="ntk") == pytest.approx(3 / 16)
    assert net.learning_exponent(1, teacher="ntk", student="ntk") == pytest.approx(17 / 16 / 3)


# --- learning curves -------------------------------------------------------------------------------------------------


def learning_curve(filters, p, layer, teacher, student, sizes, draws, ridge=0.0):
    """Exact mean error over targets at each number of training points, averaged over `draws` sets of them."""
    pupil, master, s = HierarchicalCNN(filters), HierarchicalCNN(filters[:layer]), filters[0]
    errors = np.zeros(len(sizes))
    for draw in range(draws):
        x, test = patches(sizes[-1], p, s, [10, draw]), patches(301, p, s, [11, draw])
        K_S, k_S = pupil.kernel(x)[student].values, pupil.kernel(x, test)[student].values
        K_T, k_T = master.kernel(x)[teacher].values, master.kernel(x, test)[teacher].values
        for i, n in enumerate(sizes):
            found = expected_error(
                K_S_train=K_S[:n, :n], k_S_test=k_S[:n], K_T_train=K_T[:n, :n], k_T_test=k_T[:n],
                K_T_diag=np.full(301, K_T[0, 0]), ridge=ridge,
            )  # fmt: skip
            assert found.residual < 1e-11
            errors[i] += found.value / draws
    return errors


@pytest.mark.parametrize(
    ("filters", "p", "layer", "teacher", "student", "tolerance"),
    [
        ((2,), 1, 1, "ntk", "ntk", 0.05),
        ((3,), 1, 1, "ntk", "ntk", 0.05),
        ((2, 2), 2, 2, "ntk", "ntk", 0.06),
        ((2, 2), 2, 2, "nngp", "ntk", 0.08),
        ((2, 3), 3, 2, "nngp", "ntk", 0.08),
        ((2, 2), 4, 1, "ntk", "ntk", 0.05),
        ((2, 2), 2, 1, "ntk", "nngp", 0.08),
        ((3, 2), 2, 1, "ntk", "ntk", 0.06),
    ],
)
def test_learning_exponents(filters, p, layer, teacher, student, tolerance):
    """Fitted from n = 128 to 1024 (d_eff <= 4), the tolerance of kernels.md 4.3."""
    sizes = [128, 256, 512, 1024]
    errors = learning_curve(filters, p, layer, teacher, student, sizes, 2, ridge=1e-14 if student == "nngp" else 0.0)
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    beta = HierarchicalCNN(filters).learning_exponent(layer, teacher=teacher, student=student)
    assert slope == pytest.approx(-beta, abs=tolerance)


def test_a_local_target_is_not_learnt_at_the_rate_of_its_own_modes():
    """2 nu_T/d_l = 1 would hold if modes were learnt in the teacher's order; the student's order gives 3/4."""
    sizes = [128, 256, 512, 1024]
    slope = np.polyfit(np.log(sizes), np.log(learning_curve((2, 2), 4, 1, "ntk", "ntk", sizes, 2)), 1)[0]
    assert abs(slope + 1) > 0.15


def test_a_student_saturates():
    """Teacher sum of k^-9 cos(k x) over even k, NTK student, d = 1: beta = 2 (2 nu_S + d)/d = 4, not 2 nu_T = 8.

    A regular grid makes the sum over aliases exact. An NNGP student, whose own limit is 2 (3 + 1) = 8, shows that the
    exponent 4 is the student's and not the grid's.
    """
    k = np.arange(2, 64, 2)
    net = HierarchicalCNN((2,))

    def circle(angle):
        return np.stack([np.cos(angle), np.sin(angle)], axis=-1)[:, None, :]

    def error(n, kind):
        # half a circle: the kernel of even k has the period pi
        angle, test = pi * np.arange(n) / n, pi * (np.arange(37) + 0.3) / 37
        x, z = normalise_patches(circle(angle)), normalise_patches(circle(test))
        K, cross = (np.cos(np.multiply.outer(d, k)) @ k**-9.0 for d in (angle[:, None] - angle, angle[:, None] - test))
        both = [net.kernel(x, v)[kind].values + net.kernel(-x, v)[kind].values for v in (x, z)]
        diagonal = np.full(37, (k**-9.0).sum())
        return expected_error(K_S_train=both[0], k_S_test=both[1], K_T_train=K, k_T_test=cross, K_T_diag=diagonal).value

    n = (8, 16)
    slope = [np.diff(np.log([error(v, kind) for v in n]))[0] / np.log(2) for kind in ("ntk", "nngp")]
    assert slope[0] == pytest.approx(-4, abs=0.3)
    assert slope[1] < -7


def test_expected_error_against_drawn_targets():
    """3000 Gaussian targets: within 4.9 standard errors (two-sided 1e-6)."""
    x, z = patches(20, 2, 2, 12), patches(9, 2, 2, 13)
    student, teacher = HierarchicalCNN((2, 2)), HierarchicalCNN((2,))
    K_T = teacher.kernel(np.concatenate([x, z])).ntk.values
    K_S, k_S = student.kernel(x).ntk.values, student.kernel(x, z).ntk.values
    found = expected_error(
        K_S_train=K_S,
        k_S_test=k_S,
        K_T_train=K_T[:20, :20],
        k_T_test=K_T[:20, 20:],
        K_T_diag=np.diag(K_T)[20:],
        ridge=0.1,
    )
    root = np.linalg.cholesky(K_T + 1e-12 * np.eye(29))
    f = np.random.Generator(np.random.Philox(key=14)).standard_normal((3000, 29)) @ root.T
    squared = ((f[:, :20] @ np.linalg.solve(K_S + 0.1 * np.eye(20), k_S) - f[:, 20:]) ** 2).mean(axis=1)
    assert abs(squared.mean() - found.value) < 4.9 * squared.std() / np.sqrt(3000)


def test_a_student_that_is_the_teacher_has_the_posterior_variance():
    x, z = patches(30, 2, 3, 15), patches(11, 2, 3, 16)
    net = HierarchicalCNN((3, 2))
    K, k = net.kernel(x).nngp.values, net.kernel(x, z).nngp.values
    found = expected_error(K_S_train=K, k_S_test=k, K_T_train=K, k_T_test=k, K_T_diag=np.ones(11))
    variance = 1 - (k * np.linalg.solve(K, k)).sum(axis=0)
    assert found.value == pytest.approx(variance.mean(), rel=1e-10)
    assert found.standard_error == pytest.approx(variance.std(ddof=1) / 11**0.5, rel=1e-9)


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: HierarchicalCNN((2, 2)).kernel(2 * patches(3, 2, 2, 1)),
            "length of a patch of x1 must be 1: use normal",
        ),
        (lambda: HierarchicalCNN((2, 2)).kernel(patches(3, 3, 2, 1)), "p a multiple of 2"),
        (lambda: HierarchicalCNN((2, 2)).kernel(patches(3, 2, 2, 1)[0]), "x1 must have the shape"),
        (lambda: HierarchicalCNN((2,)).kernel(patches(3, 2, 2, 1), patches(4, 3, 2, 1)), "as many patches"),
        (lambda: HierarchicalCNN((1, 2)), r"filters\[0\] must be >= 2"),
        (lambda: HierarchicalCNN((2, 0)), r"filters\[1\] must be"),
        (lambda: HierarchicalCNN((2, 2)).exponent(3, "ntk"), r"layer must be in \[1, 2\]"),
        (lambda: HierarchicalCNN((2, 2)).exponent(1, "rfk"), "kind must be ntk or nngp"),
        (lambda: HierarchicalCNN((2, 2)).exponent(1, ["ntk"]), r"kind must be ntk or nngp, got \['ntk'\]"),
        (lambda: normalise_patches(3.0), r"x must be patches \(..., s_1\) of numbers, got shape \(\)"),
        (lambda: normalise_patches([[[0.0, 0.0]]]), "largest entry of a patch must be positive"),
        (lambda: normalise_patches([[[np.nan, 1.0]]]), "largest entry of a patch must be positive"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_bad_kernels():
    good = {"K_S_train": np.eye(2), "k_S_test": np.ones((2, 3)), "K_T_train": np.eye(2), "k_T_test": np.ones((2, 3))}
    with pytest.raises(ValueError, match=r"K_T_diag must have the shape \(3,\)"):
        expected_error(**good, K_T_diag=np.ones(2))
    with pytest.raises(ValueError, match="ridge must be finite and >= 0"):
        expected_error(**good, K_T_diag=np.ones(3), ridge=-1.0)
    with pytest.raises(ConvergenceError, match="raise ridge"):
        expected_error(**good | {"K_S_train": np.ones((2, 2))}, K_T_diag=np.ones(3))
    with pytest.raises(TypeError, match="tuple of integers"):
        HierarchicalCNN([2, 2])
    with pytest.raises(
        ValueError, match=r"k_S_test must have a shape \(n, m\) of training and test points, got \(1,\)"
    ):
        expected_error(**good | {"k_S_test": [0.5]}, K_T_diag=np.ones(3))
    with pytest.raises(ValueError, match="ridge must be finite and >= 0, got 'a'"):
        expected_error(**good, K_T_diag=np.ones(3), ridge="a")
