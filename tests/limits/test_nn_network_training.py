"""Finite networks in training, against differences of the loss, linear algebra, and the limit of infinite width."""

import numpy as np
import pytest
from scipy.stats import linregress
from scipy.stats import t as student

import mattis as mt
from mattis.core.errors import ConvergenceError
from mattis.theory.kernels.network_training import tangent_motion, train, trained_parameters


def normal(seed, *shape):
    return np.random.Generator(np.random.Philox(key=seed)).standard_normal(shape)


ERF = mt.nn.mlp(hidden_layers=2, activation=mt.nn.Erf(), sigma_w=1.3, sigma_b=0.4)
STANDARD = mt.nn.serial(
    mt.nn.Dense(sigma_w=1.2, sigma_b=0.5, parametrisation="standard"),
    mt.nn.Gelu(),
    mt.nn.Dense(sigma_w=0.8, parametrisation="standard"),
)
BRANCH = mt.nn.serial(mt.nn.Conv(filter_shape=(3, 2), sigma_w=1.1, sigma_b=0.3), mt.nn.Erf(), mt.nn.Dense(sigma_b=0.2))
IMAGES = mt.nn.serial(
    mt.nn.Conv(filter_shape=(2, 3), strides=(1, 2), padding="CIRCULAR", sigma_w=1.4, sigma_b=0.6),
    mt.nn.LayerNorm(epsilon=0.1),
    mt.nn.FanOut(2),
    mt.nn.parallel(mt.nn.Identity(), BRANCH),
    mt.nn.FanInSum(),
    mt.nn.Flatten(),
    mt.nn.Dense(sigma_w=0.9, sigma_b=0.7),
)
NETS = [(ERF, (3,), 2), (STANDARD, (3,), 1), (IMAGES, (4, 6, 2), 1)]


def problem(net, shape, outputs, units=7, n=5):
    """Parameters, inputs and labels."""
    parameters = mt.nn.draw_parameters(net, shape, units=units, outputs=outputs, seed=3)
    return parameters, normal(1, n, *shape), normal(2, n, outputs)


def half_squares(net, parameters, X, y):
    return 0.5 * np.sum((net.apply(parameters, X) - y) ** 2)


@pytest.mark.parametrize(("net", "shape", "outputs"), NETS, ids=["erf", "standard", "images"])
def test_one_step_is_the_gradient(net, shape, outputs):
    """Every weight and bias of every layer, against central differences of the loss (relative error about h^2)."""
    parameters, X, y = problem(net, shape, outputs)
    eta, h = 1e-2, 1e-5
    after = train(net, parameters, X, y, learning_rate=eta, steps=1).parameters
    before, moved = trained_parameters(net, parameters), trained_parameters(net, after)
    assert len(before) == sum(type(layer).__name__ in ("Dense", "Conv") for layer in every_layer(net))
    for pair, then in zip(before, moved, strict=True):
        for array, later in zip(pair, then, strict=True):
            found, expected = (array - later) / eta, np.empty_like(array)
            for at in np.ndindex(array.shape):
                kept, values = array[at], []
                for sign in (1, -1):
                    array[at] = kept + sign * h
                    values.append(half_squares(net, parameters, X, y))
                array[at] = kept
                expected[at] = (values[0] - values[1]) / (2 * h)
            assert np.abs(found - expected).max() < 2e-8 * max(1.0, np.abs(expected).max())


def every_layer(layer):
    inside = getattr(layer, "layers", ())
    return [layer] if not inside else [found for one in inside for found in every_layer(one)]


@pytest.mark.parametrize(("net", "shape"), [(ERF, (3,)), (IMAGES, (4, 6, 2))], ids=["erf", "images"])
def test_the_first_step_is_along_the_empirical_ntk(net, shape):
    """F moves by -eta Theta (f - y) elsewhere too; the rest is of second order: a quarter of it at half of eta."""
    parameters, X, y = problem(net, shape, 1)
    x = normal(4, 3, *shape)
    drift = -mt.nn.tangent_kernel(net, parameters, x, X) @ (net.apply(parameters, X)[:, 0] - y[:, 0])
    rest = []
    for eta in (1e-4, 5e-5):
        run = train(net, parameters, X, y[:, 0], learning_rate=eta, steps=[0, 1], x=x)
        rest.append(np.abs(np.diff(run.f.values, axis=0)[0] - eta * drift).max() / (eta * np.abs(drift).max()))
    assert rest[0] < 0.05
    assert rest[1] / rest[0] == pytest.approx(0.5, abs=0.01)


def test_a_network_linear_in_its_parameters_is_the_infinite_one():
    """One Dense: Theta is that of infinite width, so that f_k = f_0 + the mean of GradientDescent for y - f_0."""
    net = mt.nn.serial(mt.nn.Dense(sigma_w=1.7, sigma_b=0.6))
    parameters, X, y = problem(net, (6,), 2, n=4)
    x, eta, steps = normal(5, 3, 6), 0.03, [0, 1, 7, 40]
    run = train(net, parameters, X, y, learning_rate=eta, steps=steps, x=x)
    wide = mt.nn.GradientDescent(net, X, y - net.apply(parameters, X), learning_rate=eta)
    expected = net.apply(parameters, x) + wide.predict(x, steps, cov=False).mean
    assert np.abs(run.f.values - expected.values).max() < 1e-12
    assert run.f.dims == ("step", "x1", "output")
    assert run.f.t.values == pytest.approx(eta * np.array(steps), rel=1e-15)
    residuals = train(net, parameters, X, y, learning_rate=eta, steps=steps).f.values - y
    assert run.loss.values == pytest.approx(0.5 * (residuals**2).sum((1, 2)), rel=1e-12)


def test_small_steps_are_the_flow():
    """At one t the error of descent halves with the step: (f_4h - f_2h)/(f_2h - f_h) -> 2 + O(h)."""
    parameters, X, y = problem(ERF, (3,), 2)
    f = [train(ERF, parameters, X, y, learning_rate=0.02 / k, steps=40 * k).f.values for k in (1, 2, 4)]
    assert np.linalg.norm(f[0] - f[1]) / np.linalg.norm(f[1] - f[2]) == pytest.approx(2, abs=0.1)


def test_the_loss_falls_at_every_step():
    parameters, X, y = problem(ERF, (3,), 1)
    top = np.linalg.eigvalsh(mt.nn.tangent_kernel(ERF, parameters, X))[-1]
    loss = train(ERF, parameters, X, y[:, 0], learning_rate=0.3 / top, steps=np.arange(200)).loss.values
    assert (np.diff(loss) < 0).all()
    assert loss[-1] < 0.05 * loss[0]


@pytest.fixture(scope="module")
def by_width():
    """(width, draw) of the relative motion of Theta, and of the distance to the network of infinite width."""
    net = mt.nn.mlp(hidden_layers=2, activation=mt.nn.Erf(), sigma_w=1.2, sigma_b=0.3)
    X, y, x = normal(6, 5, 3), normal(7, 5), normal(8, 4, 3)
    steps, eta = [0, 25], 0.1
    found = np.empty((2, len(WIDTHS), DRAWS))
    for i, units in enumerate(WIDTHS):
        for draw in range(DRAWS):
            start = mt.nn.draw_parameters(net, (3,), units=units, outputs=1, seed=(9, units, draw))
            run = train(net, start, X, y, learning_rate=eta, steps=steps, x=x)
            left = y - net.apply(start, X)[:, 0]
            flow = mt.nn.GradientDescent(net, X, left, learning_rate=eta).predict(x, 25, cov=False).mean
            gap = run.f[1] - run.f[0] - flow
            found[:, i, draw] = tangent_motion(net, start, run.parameters, X), np.sqrt(np.mean(gap**2))
    return found


WIDTHS, DRAWS = (32, 64, 128, 256), 40


@pytest.mark.parametrize(("which", "power"), [(0, -1.0), (1, -0.5)], ids=["motion of Theta", "distance to the limit"])
def test_powers_of_the_width(by_width, which, power):
    """Log-log slopes over 160 networks within 4.5 errors and 0.2 (corrections of higher order): by chance 2e-5."""
    x = np.repeat(np.log(WIDTHS), DRAWS)
    fit = linregress(x, np.log(by_width[which]).ravel())
    assert 2 * student.sf(4.5, len(x) - 2) < 2e-5
    assert fit.stderr < 0.08
    assert abs(fit.slope - power) < min(4.5 * fit.stderr, 0.2)


def test_the_arguments_are_left_alone():
    parameters, X, y = problem(ERF, (3,), 2)
    copies = [array.copy() for pair in trained_parameters(ERF, parameters) for array in pair]
    run = train(ERF, parameters, X, y, learning_rate=0.02, steps=[2, 9])
    now = [array for pair in trained_parameters(ERF, parameters) for array in pair]
    assert all((a == b).all() for a, b in zip(copies, now, strict=True))
    assert (run.f.values[-1] == train(ERF, parameters, X, y, learning_rate=0.02, steps=9).f.values[0]).all()
    assert run.f.values[-1] == pytest.approx(ERF.apply(run.parameters, X), abs=1e-13)


def test_descent_that_diverges_is_told():
    net = mt.nn.mlp(hidden_layers=2, activation=mt.nn.Relu(), sigma_w=2.0)
    parameters, X, y = problem(net, (3,), 1)
    with pytest.raises(ConvergenceError, match=r"diverged at step \d+: learning_rate=50.0"):
        train(net, parameters, X, y, learning_rate=50.0, steps=100)


@pytest.mark.parametrize(
    ("changed", "error", "told"),
    [
        ({"learning_rate": 0.0}, ValueError, "learning_rate must be finite and > 0, got 0.0"),
        ({"learning_rate": np.nan}, ValueError, "learning_rate must be finite"),
        ({"learning_rate": "a"}, ValueError, "learning_rate must be finite and > 0, got 'a'"),
        ({"learning_rate": [0.1]}, ValueError, r"learning_rate must be finite and > 0, got \[0.1\]"),
        ({"steps": 1.5}, TypeError, "steps must be integers"),
        ({"steps": []}, ValueError, "steps must be a count or an increasing list of counts, got an empty list"),
        ({"y": 1.0}, ValueError, r"y must have shape \(n,\) or \(n, outputs\).*, got shape \(\)"),
        ({"y": []}, ValueError, r"y must have shape .*, got shape \(0,\)"),
        ({"x": np.ones((2, 4))}, ValueError, r"W and b of shapes \(4, 7\) and \(7,\), as x gives it inputs \(4,\)"),
        ({"steps": [3, 3]}, ValueError, "increasing list of counts"),
        ({"steps": -1}, ValueError, "steps must be >= 0, got -1"),
        ({"y": np.zeros(5)}, ValueError, r"what comes out of X, \(5, 2\), got shape \(5,\)"),
        ({"y": np.full((5, 2), np.inf)}, ValueError, "y must be finite"),
        ({"X": np.full((5, 3), np.nan)}, ValueError, "X must be finite"),
        ({"x": np.full((2, 3), np.nan)}, ValueError, "x must be finite"),
    ],
)
def test_bad_arguments(changed, error, told):
    parameters, X, y = problem(ERF, (3,), 2)
    with pytest.raises(error, match=told):
        train(ERF, parameters, **({"X": X, "y": y, "learning_rate": 0.1, "steps": 1} | changed))


def test_empirical_means():
    """f f' over the outputs, averaged over draws, with the standard error; seeds share no draw."""
    x, found = normal(5, 2, 3), {}
    for seed in (1, 2):
        draws = [mt.nn.draw_parameters(ERF, (3,), units=6, outputs=4, seed=(seed, draw)) for draw in range(3)]
        f = np.array([ERF.apply(parameters, x) for parameters in draws])
        K = np.einsum("dio,djo->dij", f, f) / 4
        nngp = mt.nn.empirical_kernel(ERF, x, units=6, draws=3, seed=seed, outputs=4)["nngp"]
        np.testing.assert_allclose(nngp.mean, K.mean(0), rtol=1e-13)
        np.testing.assert_allclose(nngp.std, K.std(0, ddof=1), rtol=1e-11)
        np.testing.assert_allclose(nngp.error, nngp.std / 3**0.5, rtol=1e-14)
        found[seed] = set(K[:, 0, 0])
    assert not found[1] & found[2]


NESTED = [
    mt.nn.serial(mt.nn.Flatten(), ERF),
    mt.nn.serial(ERF),
    mt.nn.serial(mt.nn.serial(*ERF.layers[:3]), *ERF.layers[3:]),
]


@pytest.mark.parametrize("net", NESTED)
def test_a_network_inside_is_drawn_as_its_layers(net):
    """Numbers and widths of the plain network, and the means of both kernels; only the very last layer has outputs."""
    x = normal(5, 4, 3)
    plain, inside = (mt.nn.draw_parameters(one, (3,), units=6, outputs=2, seed=1) for one in (ERF, net))
    assert [W.shape for W, _ in trained_parameters(ERF, plain)] == [(6, 2), (6, 6), (3, 6)]
    assert (net.apply(inside, x) == ERF.apply(plain, x)).all()
    assert (mt.nn.tangent_kernel(net, inside, x) == mt.nn.tangent_kernel(ERF, plain, x)).all()
    one, two = (mt.nn.empirical_kernel(which, x, units=6, draws=2, seed=1) for which in (ERF, net))
    assert all((one[name].mean == two[name].mean).all() for name in ("nngp", "ntk"))


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ([mt.nn.Dense(), mt.nn.Relu()], r"got layer 1 \(Relu\)"),
        ([mt.nn.Flatten(), mt.nn.serial(mt.nn.Relu(), mt.nn.Dense(units=5))], r"got layer 1.1 \(Dense\) of 5 units"),
    ],
)
def test_a_last_layer_without_a_width_to_choose(layers, told):
    with pytest.raises(
        ValueError, match="outputs needs a net whose last layer is a Dense without units of its own, " + told
    ):
        mt.nn.draw_parameters(mt.nn.serial(*layers), (3,), units=4, outputs=1, seed=1)


def test_why_descent_diverges():
    """2/lambda_max is blamed only where it is exceeded: a cubic unit makes Theta grow, a square overflows at once."""
    parameters, X, y = problem(ERF, (3,), 1)
    top = np.linalg.eigvalsh(mt.nn.tangent_kernel(ERF, parameters, X))[-1]
    cubic = mt.nn.serial(mt.nn.Dense(), mt.nn.Monomial(3), mt.nn.Dense())
    own = mt.nn.draw_parameters(cubic, (3,), units=3, outputs=1, seed=1)
    eta = 1.9 / np.linalg.eigvalsh(mt.nn.tangent_kernel(cubic, own, X))[-1]
    with pytest.raises(
        ConvergenceError, match=r"is below 2/lambda_max = .* of the NTK of X at the start, which has grown"
    ):
        train(cubic, own, X, 100 * y, learning_rate=eta, steps=500)
    with pytest.raises(ConvergenceError, match="at step 0: X, y or the parameters are too large"):
        train(ERF, parameters, X, 1e200 * np.ones(5), learning_rate=0.1 / top, steps=1)


def test_tangent_motion_of_a_kernel_that_vanishes():
    parameters, X, _ = problem(ERF, (3,), 1)
    nothing = [None if p is None else (0 * p[0], 0 * p[1]) for p in parameters]
    net = mt.nn.mlp(hidden_layers=2, activation=mt.nn.Relu())
    with pytest.raises(ValueError, match=r"norm of the NTK of x before training must be > 0, got 0\.0"):
        tangent_motion(net, nothing, parameters, X)


DRAW = {"units": 3, "outputs": 1, "seed": 1}


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ({"units": 0}, ValueError, "units must be >= 1, got 0"),
        ({"outputs": 0}, ValueError, "outputs must be >= 1, got 0"),
        ({"units": "a"}, TypeError, "units must be an integer >= 1, got 'a'"),
        ({"seed": -1}, ValueError, r"seed must be in \[0, 2\^63\), got -1"),
        ({"seed": (1, -2)}, ValueError, r"seed must be in \[0, 2\^63\), got -2"),
        ({"seed": None}, TypeError, "seed must be an integer"),
        ({"shape": ()}, ValueError, "shape must be that of one input"),
        ({"shape": 3}, ValueError, "shape must be that of one input"),
        ({"net": 3}, TypeError, "net must be a network from serial or mlp, got 3"),
    ],
)
def test_bad_draws(change, error, told):
    arguments = {"net": ERF, "shape": (3,)} | DRAW | change
    with pytest.raises(error, match=told):
        mt.nn.draw_parameters(**arguments)
    if "shape" not in change and change.get("seed", 1) in (1, -1):
        arguments.pop("shape")
        with pytest.raises(error, match=told):
            mt.nn.empirical_kernel(**arguments, x=np.ones((2, 3)), draws=2)


GOOD = mt.nn.draw_parameters(ERF, (3,), units=4, outputs=1, seed=1)


@pytest.mark.parametrize(
    ("x", "parameters", "told"),
    [
        (np.ones((2, 4)), GOOD, r"layer 0 \(Dense\) must be W and b of shapes \(4, 4\) and \(4,\), as x1 gives it"),
        (np.ones((0, 3)), GOOD, r"x1 must be inputs \(n, ...\) and not empty, got shape \(0, 3\)"),
        (np.ones(3), GOOD, r"x1 must be inputs \(n, ...\) and not empty, got shape \(3,\)"),
        (np.full((2, 3), np.nan), GOOD, "x1 must be finite, got nan"),
        ("a", GOOD, "x1 must hold real numbers, got 'a'"),
        (np.ones((2, 3)), None, "parameters must be a list with an entry for each of 5 layers, got None"),
        (np.ones((2, 3)), GOOD[:3], "for each of 5 layers, got 3 entries"),
        (np.ones((2, 3)), [*GOOD[:-1], (1, 2)], r"parameters of layer 4 \(Dense\) must be W and b"),
        (np.ones((2, 3)), [GOOD[0], GOOD[0], *GOOD[2:]], r"parameters of layer 1 \(Erf\) must be nothing"),
    ],
)
def test_inputs_and_parameters_that_do_not_fit(x, parameters, told):
    with pytest.raises(ValueError, match=told):
        mt.nn.tangent_kernel(ERF, parameters, x)
    with pytest.raises(ValueError, match=told.replace("x1", "X")):
        train(ERF, parameters, x, np.ones(2), learning_rate=0.1, steps=1)
    if parameters is GOOD and np.size(x) != 8:
        with pytest.raises(ValueError, match=told.replace("x1", "x")):
            mt.nn.empirical_kernel(ERF, x, draws=2, **DRAW)


def test_parameters_of_branches_that_do_not_fit():
    parameters, X, _ = problem(IMAGES, (4, 6, 2), 1)
    parameters[3] = parameters[3][:1]
    with pytest.raises(ValueError, match=r"an entry for each of 2 branches of layer 3 \(Parallel\), got 1 entries"):
        mt.nn.tangent_kernel(IMAGES, parameters, X)
