"""The network kernel inside scikit-learn's GaussianProcessRegressor against mattis itself and differences."""

import importlib
import importlib.util
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, WhiteKernel

from mattis.theory.kernels.activations import Erf, Relu
from mattis.theory.kernels.network import mlp
from mattis.theory.kernels.regression import GaussianProcess
from mattis.theory.kernels.scikit import ScikitKernel

RNG = np.random.Generator(np.random.Philox(key=31))
X, X_TEST = RNG.standard_normal((17, 3)), RNG.standard_normal((5, 3))
Y = np.sin(2 * X[:, 0]) + 0.3 * X[:, 1]


def kernel(**change):
    return ScikitKernel(**{"hidden_layers": 2, "activation": Relu(), "sigma_w": 1.3, "sigma_b": 0.4} | change)


def net(activation=None, sigma_w=1.3, sigma_b=0.4):
    return mlp(hidden_layers=2, activation=activation or Relu(), sigma_w=sigma_w, sigma_b=sigma_b)


@pytest.mark.parametrize("activation", [Relu(), Erf()])
def test_the_kernel_is_that_of_the_network(activation):
    one, two = kernel(activation=activation), net(activation)
    np.testing.assert_array_equal(one(X), two.kernel(X).nngp)
    np.testing.assert_array_equal(one(X_TEST, X), two.kernel(X_TEST, X).nngp)
    many = RNG.standard_normal((131, 3))  # more than one block
    np.testing.assert_allclose(one.diag(many), np.diagonal(one(many)), rtol=1e-15)
    assert not one.is_stationary()
    assert repr(one) == "ScikitKernel(hidden_layers=2, sigma_w=1.3, sigma_b=0.4)"


def test_the_logarithms_scikit_learn_searches():
    one = kernel(sigma_w_bounds=(0.5, 4.0))
    np.testing.assert_allclose(one.theta, np.log([0.4, 1.3]))
    np.testing.assert_allclose(one.bounds, np.log([[1e-3, 1e2], [0.5, 4.0]]))
    moved = one.clone_with_theta(np.log([0.2, 1.1]))
    assert (round(moved.sigma_b, 12), round(moved.sigma_w, 12)) == (0.2, 1.1)
    assert clone(one) == one
    fixed = kernel(sigma_b=0.0, sigma_b_bounds="fixed")
    np.testing.assert_allclose(fixed.theta, np.log([1.3]))
    assert fixed(X, eval_gradient=True)[1].shape == (17, 17, 1)
    assert kernel(sigma_w_bounds="fixed", sigma_b_bounds="fixed")(X, eval_gradient=True)[1].shape == (17, 17, 0)


@pytest.mark.parametrize("activation", [Relu(), Erf()])
def test_gradient_by_differences(activation):
    """Central differences of step 1e-5 in the logarithms."""
    one = kernel(activation=activation)
    K, gradient = one(X, eval_gradient=True)
    assert gradient.shape == (17, 17, 2)
    np.testing.assert_array_equal(K, one(X))
    for k, shift in enumerate(1e-5 * np.eye(2)):
        up, down = (one.clone_with_theta(one.theta + s * shift)(X) for s in (1, -1))
        np.testing.assert_allclose(gradient[:, :, k], (up - down) / 2e-5, rtol=1e-7, atol=1e-9)


def test_the_regressor_is_our_process():
    """alpha of scikit-learn is our noise."""
    model = GaussianProcessRegressor(kernel(), alpha=0.1, optimizer=None).fit(X, Y)
    process = GaussianProcess(net(), X, Y, noise=0.1)
    mean, cov = process.predict(X_TEST)
    theirs = model.predict(X_TEST, return_cov=True)
    np.testing.assert_allclose(mean, theirs[0], rtol=1e-10)
    np.testing.assert_allclose(cov, theirs[1], atol=1e-11)
    value, slope = model.log_marginal_likelihood(model.kernel_.theta, eval_gradient=True)
    np.testing.assert_allclose(process.log_marginal_likelihood, value, rtol=1e-11)
    ours = process.log_marginal_likelihood_gradient()
    np.testing.assert_allclose(slope, [0.4 * ours["sigma_b"], 1.3 * ours["sigma_w"]], rtol=1e-8)


def test_the_search_ends_where_our_gradient_vanishes():
    """Also inside sums and products of kernels."""
    whole = ConstantKernel(1.0, "fixed") * kernel() + WhiteKernel(0.1, (1e-4, 10.0))
    model = GaussianProcessRegressor(whole, alpha=0.0).fit(X, Y + 1.5)
    found = model.kernel_.get_params()
    sigma_w, sigma_b, noise = found["k1__k2__sigma_w"], found["k1__k2__sigma_b"], found["k2__noise_level"]
    at = np.array([sigma_b, sigma_w, noise])
    low, high = np.exp(whole.bounds).T
    process = GaussianProcess(net(sigma_w=sigma_w, sigma_b=sigma_b), X, Y + 1.5, noise=noise)
    slopes = process.log_marginal_likelihood_gradient()
    free = (at > 1.001 * low) & (at < 0.999 * high)
    assert free.sum() >= 1
    by_log = at * np.array([slopes["sigma_b"], slopes["sigma_w"], slopes["noise"]])
    np.testing.assert_allclose(by_log[free], 0, atol=1e-2)
    assert process.log_marginal_likelihood > GaussianProcess(net(), X, Y + 1.5, noise=0.1).log_marginal_likelihood


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"^sigma_b must be > 0 where it is searched, got 0.0$"):
        kernel(sigma_b=0.0)(X)
    with pytest.raises(ValueError, match=r"^eval_gradient needs Y=None"):
        kernel()(X, X_TEST, eval_gradient=True)
    with pytest.raises(ValueError, match="finite"):
        kernel()([[1.0, np.nan, 0.0]])
    with pytest.raises(ValueError, match="sigma_w"):
        kernel(sigma_w=-1.0)(X)


def test_without_scikit_learn(monkeypatch):
    """The message says what to install."""
    name = "mattis.theory.kernels.scikit"
    monkeypatch.delitem(sys.modules, name)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda what, *rest: None if what == "sklearn" else find(what, *rest)
    )
    with pytest.raises(ImportError, match=r"needs scikit-learn: pip install 'mattis\[scikit\]'$"):
        importlib.import_module(name)


def test_what_leaves_the_range_is_refused():
    """A scale beside the kernel would be lost in scikit-learn."""
    for sigma_w in (1e4, 1e-4):
        deep = kernel(hidden_layers=90, sigma_w=sigma_w, sigma_b=0.0, sigma_b_bounds="fixed")
        for call in (deep, deep.diag):
            with pytest.raises(OverflowError, match="90 hidden layers leaves the range"):
                call(X)
    for wrong in ({"sigma_w": 0.0}, {"sigma_w": "a"}, {"sigma_b": None}):
        with pytest.raises(ValueError, match="must be > 0 where it is searched"):
            kernel(**wrong)(X)
