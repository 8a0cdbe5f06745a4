"""Figures: drafts of all of them, and what the published ones must show."""

import importlib
import pkgutil

import numpy as np
import pytest
import xarray as xr
from scipy.stats import t as student

import mattis.figures
from mattis.figures import hopfield_overlap
from mattis.figures.recipe import Recipe

NAMES = [m.name for m in pkgutil.iter_modules(mattis.figures.__path__) if m.name not in ("recipe", "__main__")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("figures")


@pytest.fixture(scope="module", params=NAMES)
def recipe(request) -> Recipe:
    return importlib.import_module(f"mattis.figures.{request.param}").recipe


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
    recipe.draw(ds)
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
    """At N = 2000 no pull is beyond 4, and at most one of the 21 beyond 3.

    With right errors a pull is Student's with samples - 1 degrees of freedom: over fresh seeds a given one is
    beyond 4 with probability 1.7e-4, so this bound fails by chance for 0.4 % of seeds at most. The seeds are fixed.
    """
    pulls = overlap.pull.sel(N=2000).values
    assert pulls.size == 21
    assert 2 * student.sf(4, overlap.attrs["samples"] - 1) * pulls.size < 4e-3
    assert np.abs(pulls).max() < 4
    assert (np.abs(pulls) > 3).sum() <= 1


def test_a_wrong_temperature_would_be_seen(overlap):
    """Theory at 1.05 T is beyond 4 errors of the same simulations at two of the three loads at least."""
    point = overlap.sel(N=2000)
    theory = hopfield_overlap._theory(point.T * 1.05)
    pulls = ((point.overlap - theory) / point.overlap_error).transpose("alpha", "fraction").values
    assert (np.abs(pulls).max(axis=1) > 4).sum() >= 2


def test_the_finite_size_shift_falls_with_N(overlap):
    """N = 500, 1000, 2000 tend to the theory: no size is further away than a smaller one beyond joint errors."""
    shift = (overlap.overlap - overlap.theory).isel(fraction=-1)
    error = overlap.overlap_error.isel(fraction=-1)
    for small, large in ((500, 1000), (1000, 2000)):
        joint = np.hypot(error.sel(N=small), error.sel(N=large))
        assert (abs(shift.sel(N=large)) < abs(shift.sel(N=small)) + 3 * joint).all()
    assert float(abs(shift.sel(N=2000)).mean()) < float(abs(shift.sel(N=500)).mean())
