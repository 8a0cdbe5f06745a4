"""Draws in the form of ArviZ and pymbar; neither need be installed."""

import sys

import numpy as np
import pytest
import xarray as xr

from mattis.mc.convert import to_arviz, to_pymbar
from mattis.mc.stats import tau_int


def dataset(samples=1):
    rng = np.random.default_rng(23)
    dims = ("sample", "T", "chain", "draw")
    variables = {
        "energy": (dims, rng.normal(size=(samples, 3, 4, 50))),
        "overlap": ((*dims, "mu"), rng.normal(size=(samples, 3, 4, 50, 5))),
        "q": (("sample", "T", "pair", "draw"), rng.normal(size=(samples, 3, 2, 50))),
    }
    coords = {"T": [0.5, 1.0, 2.0], "sample": np.arange(samples), "sweep": ("draw", 10 + np.arange(50))}
    return xr.Dataset(variables, coords, {"N": 20, "K": 5})


@pytest.mark.parametrize(("name", "rest"), [("energy", ("sample", "T")), ("overlap", ("sample", "T", "mu"))])
def test_tree_of_chains(name, rest):
    ds = dataset(2)
    posterior = to_arviz(ds, name).posterior
    assert posterior[name].dims == ("chain", "draw", *rest)
    assert np.array_equal(posterior[name], ds[name].transpose("chain", "draw", *rest))
    assert posterior["T"].values.tolist() == [0.5, 1.0, 2.0]
    assert posterior.attrs == {"N": 20, "K": 5}
    assert list(posterior.data_vars) == [name]


def test_pairs_are_chains():
    posterior = to_arviz(dataset(), "q").posterior
    assert posterior.q.dims == ("chain", "draw", "sample", "T")
    assert np.array_equal(posterior.q.values[1, :, 0, 2], dataset().q.values[0, 2, 1])


def test_selections_stay_selected():
    posterior = to_arviz(dataset(2).isel(sample=[1], T=[0, 2])).posterior
    assert posterior.energy.shape == (4, 50, 1, 2)
    assert posterior.sample.values.tolist() == [1]


def test_reduced_energies():
    """Every ceil(2 tau_int)-th draw of each chain, times N/T of each state."""
    ds = dataset()
    slow = np.repeat(ds.energy.values[:, 1, :, :10], 5, axis=2)
    ds.energy[:, 1] = slow
    stride = [int(np.ceil(2 * tau_int(chains))) for chains in ds.energy.values[0]]
    assert stride[1] > 2 * max(stride[0], stride[2])
    u_kn, N_k = to_pymbar(ds)
    assert N_k.tolist() == [4 * -(-50 // s) for s in stride]
    assert u_kn.shape == (3, N_k.sum())
    first, second = N_k[0], N_k[0] + N_k[1]
    np.testing.assert_allclose(u_kn[2, first:second] * 2.0, 20 * ds.energy.values[0, 1, :, :: stride[1]].ravel())
    np.testing.assert_allclose(u_kn[0] * 0.5, u_kn[1], rtol=1e-14)


def test_bad_datasets():
    with pytest.raises(ValueError, match=r"samples must be 1: take one, ds.isel\(sample=\[0\]\), got 2"):
        to_pymbar(dataset(2))
    with pytest.raises(ValueError, match="name must be a variable of the dataset, overlap, q, got 'energy'"):
        to_pymbar(dataset().drop_vars("energy"))
    with pytest.raises(ValueError, match="energy must have the dimensions"):
        to_arviz(dataset().isel(draw=0))


def test_neither_program_is_needed(monkeypatch):
    for name in ("arviz", "pymbar"):
        monkeypatch.setitem(sys.modules, name, None)  # an import of it now raises
    assert to_arviz(dataset()).posterior.energy.size == 3 * 4 * 50
    assert to_pymbar(dataset())[1].size == 3
