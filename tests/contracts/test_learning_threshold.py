"""From how many examples on a network has learned: against every M one by one, and against the boundaries."""

import numpy as np
import pytest

import mattis as mt
from mattis.solvers.newton import Newton
from mattis.sweeps.learning import learning_threshold
from mattis.sweeps.solve import evaluate
from mattis.theory.learning import minimal_examples


def learned_at(Model, M, theta, **const):
    """Whether the retrieval solution is there, stable and good enough, at each of many M."""
    model = Model(M=M, **const)
    found = evaluate(model, "retrieval", Newton())
    there = found["converged"] & found["stable"] & (model.label(found) == "retrieval")
    return there & (found["m"] >= theta)


def after_the_last_failure(learned):
    """The M from which on it is learned, M = 1, 2, ...; nan where the last M is not."""
    return np.nan if not learned[-1] else float(np.flatnonzero(np.append(True, ~learned[:-1]))[-1]) + 1


@pytest.mark.parametrize("protocol", ["supervised", "unsupervised"])
@pytest.mark.parametrize("T", [0.0, 0.3])
def test_every_number_of_examples(protocol, T):
    """Bisection against all M up to 400, in which the Hopfield network is monotone: learned once, learned for good."""
    M = np.arange(1.0, 401.0)
    seen = set()
    for alpha, r, theta in [(0.0, 0.2, 0.5), (0.02, 0.3, 0.0), (0.08, 0.6, 0.9), (0.12, 0.9, 0.0), (0.12, 0.3, 0.9)]:
        const = {"alpha": alpha, "T": T, "protocol": protocol, "r": r}
        learned = learned_at(mt.Hopfield, M, theta, **const)
        assert (np.diff(learned.astype(int)) >= 0).all()
        found = learning_threshold(mt.Hopfield, theta=theta, most=400, **const)
        np.testing.assert_equal(float(found.M), after_the_last_failure(learned))
        seen.add("none" if np.isnan(found.M) else "some")
    assert seen == {"none", "some"}


def test_examples_are_memorised_before_the_pattern_is_learned():
    """Unsupervised, P = 4: one example is stored like a pattern, a few are lost in their noise, eight are enough."""
    const = {"P": 4, "gamma": 0.05, "T": 0.0, "protocol": "unsupervised", "r": 0.6}
    learned = learned_at(mt.DenseHebbian, np.arange(1.0, 301.0), 0.5, **const)
    assert learned[0]
    assert not learned[1:7].any()
    assert learned[7:].all()
    found = learning_threshold(mt.DenseHebbian, theta=0.5, **const)
    assert (found.M, str(found.label)) == (8, "retrieval")


def test_without_load_it_is_a_majority_vote():
    """alpha = 0, T = 0: m = erf(1/sqrt(2 rho)), whose least M is known in closed form."""
    r, theta = np.array([0.03, 0.1, 0.3, 0.7]), np.array([[0.3], [0.9], [0.99]])
    for protocol in ("supervised", "unsupervised"):
        found = learning_threshold(mt.Hopfield, theta=theta, alpha=0.0, T=0.0, protocol=protocol, r=r)
        want = minimal_examples(P=2, gamma=0.0, r=r, protocol=protocol, theta=theta)
        np.testing.assert_array_equal(found.M, np.ceil(want))
        assert (found.m >= theta).all()


@pytest.mark.parametrize("protocol", ["supervised", "unsupervised"])
def test_the_load_is_between_two_spinodals(protocol):
    """M_c is where alpha_M(M) passes alpha: a boundary found in another direction, by another method."""
    r, T = np.array([0.2, 0.5, 0.8]), np.array([[0.05], [0.4]])
    const = {"T": T, "protocol": protocol, "r": r}
    line = learning_threshold(mt.Hopfield, alpha=0.05, **const)
    assert line.M.shape == line.m.shape == line.rho.shape == line.label.shape == (2, 3)
    assert (line.M > 1).all()
    assert (np.floor(line.M) == line.M).all()
    assert (mt.spinodal(mt.Hopfield, M=line.M, **const).alpha >= 0.05).all()
    assert not (mt.spinodal(mt.Hopfield, M=line.M - 1, **const).alpha >= 0.05).any()


def test_the_solution_at_the_threshold():
    """All fields are those of mt.solve at this M; rho follows M."""
    line = learning_threshold(mt.Hopfield, theta=0.95, alpha=[0.02, 0.1], T=0.1, protocol="unsupervised", r=0.4)
    point = mt.solve(mt.Hopfield(alpha=[0.02, 0.1], T=0.1, protocol="unsupervised", r=0.4, M=line.M))
    for name in ("m", "n", "q", "free_energy", "replicon", "stability", "rho"):
        np.testing.assert_allclose(getattr(line, name), getattr(point, name), rtol=1e-12, err_msg=name)
    assert (line.stability > 0).all()
    assert line.converged.all()


def test_no_threshold_is_nan():
    """More than the patterns themselves allow: alpha > alpha_c, T > 1, m(rho = 0) < theta; and more than ``most``."""
    hopeless = {"alpha": [0.05, 0.2, 0.05], "T": [0.1, 0.1, 1.2], "protocol": "supervised", "r": 0.5}
    line = learning_threshold(mt.Hopfield, **hopeless)
    assert np.isnan(line.M).tolist() == np.isnan(line.rho).tolist() == np.isnan(line.m).tolist() == [False, True, True]
    assert line.label.tolist() == ["retrieval", "none", "none"]
    assert line.converged.tolist() == [True, False, False]
    const = {"alpha": 0.0, "T": 0.9, "protocol": "supervised", "r": 0.5}
    assert np.isnan(learning_threshold(mt.Hopfield, theta=0.9, **const).M)
    assert learning_threshold(mt.Hopfield, alpha=0.05, T=0.0, protocol="supervised", r=0.2, most=153).M == 153
    assert np.isnan(learning_threshold(mt.Hopfield, alpha=0.05, T=0.0, protocol="supervised", r=0.2, most=152).M)
    assert learning_threshold(mt.Hopfield, alpha=np.ones(0), T=0.1, protocol="supervised", r=0.5).M.shape == (0,)


def test_bad_arguments():
    good = {"alpha": 0.05, "T": 0.1, "protocol": "supervised", "r": 0.5}

    def refused(message, Model=mt.Hopfield, **changes):
        with pytest.raises(ValueError, match=message):
            learning_threshold(Model, **good | changes)

    refused(r"^theta must be in \[0, 1\), got 1.0$", theta=1.0)
    refused(r"^theta must be in \[0, 1\), got -0.1 at index \(1,\)$", theta=[0.5, -0.1])
    refused("^of must be among retrieval, spin_glass, paramagnet, got 'glass'$", of="glass")
    refused(r"^most must be in \[1, 2\^52\], got 0$", most=0)
    refused("^M is the parameter searched and cannot be given as well$", M=3)
    refused("^Model must learn from examples", Model=mt.CurieWeiss)
    refused("^protocol='storing' stores the patterns themselves", protocol="storing")
    refused("^beta is no parameter of Hopfield", beta=3.0)
    refused(r"^r must be finite and in \(0, 1\], got 0.0$", r=0.0)
    with pytest.raises(ValueError, match="must be given together, got M alone"):
        learning_threshold(mt.Hopfield, alpha=0.05, T=0.1, protocol="supervised")


def test_two_examples_stored_singly_are_no_class():
    """At M = 2 their solution in common, m = r, is unstable: it is no phase, and M = 2 does not count as learned."""
    const = {"P": 4, "gamma": 0.05, "T": 0.2, "protocol": "unsupervised", "etabar": "binomial"}
    pair = mt.classify(mt.sweep(mt.DenseHebbian, over={"M": [1, 2, 9]}, const=const | {"r": 0.8}))
    retrieval = pair.sel(start="retrieval")
    assert retrieval.stable.values.tolist() == [True, False, True]
    assert (retrieval.stability > 0).all()
    assert pair.phase.values.tolist() == ["retrieval", "none", "retrieval"]
    learned = mt.learning_threshold(mt.DenseHebbian, theta=0.9, r=0.92, most=2**12, **const)
    assert learned.M == 3
    assert mt.solve(mt.DenseHebbian(r=0.92, M=2, **const)).m > 0.9
