"""Figures: drafts of all of them, and what the published ones must show."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from scipy.stats import t as student

import mattis as mt
from mattis.figures import hopfield_overlap
from mattis.figures.recipe import Recipe, recipes


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("figures")


DATA = Path(__file__).parents[2] / "../shared/data"


@pytest.fixture(scope="module", autouse=True)
def images(tmp_path_factory):
    """The images of ../shared/data, where there are any, in a cache of these tests: that is where figures look."""
    folder = tmp_path_factory.mktemp("home") / "mattis/images"
    folder.mkdir(parents=True)
    for name, at in {"mnist": DATA / "mnist", "fashion_mnist": DATA / "fashion"}.items():
        if at.is_dir():
            (folder / name).symlink_to(at.resolve(), target_is_directory=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MATTIS_CACHE", str(folder.parent.parent))
        yield


@pytest.fixture(scope="module", params=recipes(), ids=lambda recipe: recipe.name)
def recipe(request) -> Recipe:
    if "mnist" in request.param.name and not (DATA / "mnist").is_dir():
        pytest.skip("no images in ../shared/data")
    return request.param


def test_a_draft_is_the_same_bytes_twice(recipe, folder):
    made = recipe.make(folder, draft=True)
    assert [p.suffix for p in made] == [".png", ".pdf"]
    first = [p.read_bytes() for p in made]
    assert first[0].startswith(b"\x89PNG")
    assert first[1].startswith(b"%PDF")
    assert [p.read_bytes() for p in recipe.make(folder, draft=True)] == first


def test_the_dataset_loads_and_drawing_changes_nothing(recipe, folder):
    recipe.dataset(folder, draft=True)
    ds = xr.load_dataset(folder / f"{recipe.name}.nc", engine="scipy")
    before = ds.copy(deep=True)
    plt.close(recipe.draw(ds))
    xr.testing.assert_identical(ds, before)
    assert ds.attrs["key"] == recipe.key(recipe.draft)


def test_data_of_other_content_or_damaged_are_computed_again(folder):
    count = []

    def data(*, alpha):
        count.append(alpha)
        return xr.Dataset({"m": ("alpha", np.array([alpha]))})

    recipe = Recipe(name="counted", data=data, draw=lambda ds: None, full={"alpha": 0.1}, draft={"alpha": 0.2})
    recipe.dataset(folder)
    recipe.dataset(folder)
    assert count == [0.1]
    recipe.dataset(folder, draft=True)
    assert count == [0.1, 0.2]
    path = folder / "counted.nc"
    path.write_bytes(path.read_bytes()[:50])
    assert float(recipe.dataset(folder, draft=True).m[0]) == 0.2
    assert count == [0.1, 0.2, 0.2]


@pytest.fixture(scope="module")
def overlap(tmp_path_factory) -> xr.Dataset:
    return hopfield_overlap.recipe.dataset(tmp_path_factory.mktemp("overlap"))


def test_every_pull_of_the_published_overlap_figure(overlap):
    """At N = 2000 and T <= 0.8 T_M no pull is beyond 4, and at most one of the 21 beyond 3.

    With right errors a pull is Student's with samples - 1 degrees of freedom: over fresh seeds a given one is
    beyond 4 with probability 1.7e-4, so this bound fails by chance for 0.4 % of seeds at most. The seeds are fixed.
    Closer to the spinodal the bound does not hold at this N: the test below.
    """
    pulls = overlap.pull.values
    assert overlap.attrs["N_pull"] == 2000
    assert pulls.size == 21
    assert 2 * student.sf(4, overlap.attrs["samples"] - 1) * pulls.size < 4e-3
    assert np.abs(pulls).max() < 4
    assert (np.abs(pulls) > 3).sum() <= 1


def test_a_wrong_temperature_would_be_seen(overlap):
    """Theory at 1.05 T is beyond 4 errors of the same simulations at two of the three loads at least."""
    theory = hopfield_overlap._theory(overlap["T"] * 1.05)
    pulls = ((overlap.overlap - theory) / overlap.overlap_error).transpose("alpha", "fraction").values
    assert (np.abs(pulls).max(axis=1) > 4).sum() >= 2


def test_the_shift_close_to_the_spinodal_falls_with_N(overlap):
    """At 0.9 T_M, N = 500, 1000, 2000, 4000: small networks fall out of the metastable state, larger ones less.

    Where the shift is significant it is negative, and between the ends it shrinks at every load by more than the
    joint error, or stays within it; over all loads it shrinks by more than 4 joint errors.
    """
    shift, error = overlap["shift"], overlap.shift_error
    assert shift.N.values.tolist() == [500, 1000, 2000, 4000]
    assert (shift < 2 * error).all()
    gain, joint = shift.sel(N=4000) - shift.sel(N=500), np.hypot(error.sel(N=4000), error.sel(N=500))
    assert (gain > -joint).all()
    assert float(gain.sum()) > 4 * float(np.sqrt((joint**2).sum()))


def test_samples_that_keep_the_pattern_agree_with_theory():
    """At alpha = 0.08, 0.9 T_M the loss of samples is the whole of the shift: fewer at larger N, the rest on theory."""
    alpha = 0.08
    T = 0.9 * float(mt.spinodal(mt.Hopfield, along="T", alpha=alpha).T)
    theory = float(mt.solve(mt.Hopfield(alpha=alpha, T=T)).m)
    lost = {}
    for N, samples in ((1000, 48), (4000, 40)):
        xi = mt.patterns(N=N, K=round(alpha * N), samples=samples, seed=2)
        energy = mt.OverlapEnergy.hebbian(xi)
        run = mt.simulate(energy, T=T, chains=1, sweeps=400, burn_in=200, every=10, start="pattern", seed=2)
        m = run.overlap.isel(mu=0).mean(("T", "chain", "draw")).values
        kept = m[m > 0.8]
        lost[N] = 1 - kept.size / m.size
    assert abs(kept.mean() - theory) < 4 * kept.std(ddof=1) / np.sqrt(kept.size)
    assert lost[4000] < 0.5 * lost[1000]
