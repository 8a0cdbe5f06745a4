"""Images as spins, archetypes of classes, and examples drawn from the images: rules, addresses, real images."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.stats import chi2

import mattis as mt
from mattis.mc.images import load_images
from mattis.mc.structured import archetypes, binarise, image_examples

DATA = Path(__file__).parents[2] / "../shared/data"
needs_data = pytest.mark.skipif(
    not (DATA / "mnist").is_dir() or not (DATA / "fashion").is_dir(), reason="no images in ../shared/data"
)


def made(train=37, test=11, rows=3, columns=5, classes=(2, 5, 7), seed=1):
    """Grey images whose classes differ, with one dark, one bright and one rarely lit pixel."""
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.resize(classes, train + test))
    means = rng.integers(20, 220, (10, rows, columns))
    grey = np.clip(rng.normal(means[label], 60), 0, 255).astype(np.uint8)
    grey[:, 0, 0], grey[:, 0, 1] = 0, 255
    grey[:, 0, 2] = np.where(np.arange(train + test) % 10 == 0, 200, 0)
    told = {"grey": (("image", "row", "column"), grey), "label": ("image", label)}
    return xr.Dataset(told, {"split": ("image", ["train"] * train + ["test"] * test)})


def rule(images, threshold, balance):
    """What binarise does, a pixel at a time; the median is the lower one."""
    x = images.grey.values.reshape(images.sizes["image"], -1).astype(int)
    train, kept = images.split.values == "train", {}
    for i, column in enumerate(x.T):
        theta = np.sort(column[train])[(train.sum() - 1) // 2] if threshold == "median" else threshold
        spins = np.where(column > theta, 1, -1)
        if abs(np.mean(spins[train])) <= balance:
            kept[i] = spins
    return kept


@pytest.mark.parametrize("threshold", ["median", 0, 127, 127.5, 255])
@pytest.mark.parametrize("balance", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("train", [36, 37])
def test_binarise(threshold, balance, train):
    images = made(train=train)
    kept = rule(images, threshold, balance)
    if not kept:
        with pytest.raises(ValueError, match="balance must be large enough to keep a pixel"):
            binarise(images, threshold=threshold, balance=balance)
        return
    pixels = binarise(images, threshold=threshold, balance=balance)
    assert np.array_equal(pixels.eta.T, list(kept.values()))
    assert np.array_equal(pixels.row * 5 + pixels.column, list(kept))
    assert pixels.eta.dtype == np.int8
    assert pixels.label.equals(images.label)


def test_constant_pixels():
    """They are left out below balance = 1; kept, they are -1 at a median of their own."""
    images = made()
    where = binarise(images)
    assert not np.any((where.row == 0) & (where.column < 3))
    kept = binarise(images, balance=1.0).eta
    assert kept.sizes["site"] == 15
    assert np.all(kept[:, :2] == -1)


def test_archetypes():
    pixels = binarise(made())
    found = archetypes(pixels)
    train = pixels.split.values == "train"
    for k, c in enumerate((2, 5, 7)):
        mean = pixels.eta.values[train & (pixels.label.values == c)].mean(axis=0)
        assert np.array_equal(found.xi[k], np.where(mean > 0, 1, -1))
        assert found.r[k].item() == pytest.approx(np.abs(mean).mean(), abs=1e-14)
    assert found.label.values.tolist() == [2, 5, 7]
    assert np.all(found.xi.sel(label=5) == found.xi[1])


def test_a_tie_of_an_archetype_is_minus_one():
    told = {"eta": (("image", "site"), [[1, 1], [-1, 1]]), "label": ("image", [0, 0])}
    assert archetypes(xr.Dataset(told, {"split": ("image", ["train"] * 2)})).xi.values.tolist() == [[-1, 1]]


def test_examples_are_images_of_their_class():
    """Different training images of the class, and an unseen one of the test images; r and rho are their definitions."""
    images = made(train=60, rows=7)
    pixels = binarise(images)
    archetype = archetypes(pixels)
    drawn = image_examples(pixels, K=3, M=13, samples=4, seed=9)
    assert drawn.xi.dims == ("sample", "mu", "site")
    assert drawn.eta.dims == ("sample", "mu", "example", "site")
    assert drawn.unseen.dims == ("sample", "known", "site")
    split, label = pixels.split.values, pixels.label.values
    for z, mu in np.ndindex(4, 3):
        c = drawn.label[z, mu].item()
        assert np.array_equal(drawn.xi[z, mu], archetype.xi.sel(label=c))
        of_class = {key: {tuple(x) for x in pixels.eta.values[(split == key) & (label == c)]} for key in set(split)}
        eta = [tuple(x) for x in drawn.eta.values[z, mu]]
        assert len(set(eta)) == 13
        assert set(eta) <= of_class["train"]
        assert tuple(drawn.unseen.values[z, mu]) in of_class["test"]
    assert [sorted(x) for x in drawn.label.values.tolist()] == [[2, 5, 7]] * 4
    r = (drawn.xi * drawn.eta).mean(("example", "site"))
    xr.testing.assert_allclose(drawn.r, r, rtol=0, atol=1e-14)
    xr.testing.assert_allclose(drawn.rho, (1 - r.mean("mu") ** 2) / (13 * r.mean("mu") ** 2))


def test_random_patterns_beyond_the_classes():
    """Unbiased, independent of the archetypes, of the mean quality: within 6 standard deviations (each P < 2e-9)."""
    pixels = binarise(made(train=60, rows=7))
    K, M = 211, 12
    drawn = image_examples(pixels, K=K, M=M, samples=2, seed=3)
    assert np.all(drawn.label[:, :3] >= 0)
    assert np.all(drawn.label[:, 3:] == -1)
    xi, r = drawn.xi.values[:, 3:].astype(float), float(archetypes(pixels).r.mean())
    assert abs(xi.mean()) < 6 / np.sqrt(xi.size)
    assert abs(np.corrcoef(xi[0].ravel(), xi[1].ravel())[0, 1]) < 6 / np.sqrt(xi[0].size)
    quality = drawn.r.values[:, 3:].mean()
    assert abs(quality - r) < 6 * np.sqrt((1 - r**2) / (xi.size * M))
    first = np.einsum("zi,zki->", drawn.xi.values[:, 0].astype(float), xi)
    assert abs(first) < 6 * np.sqrt(xi.size)


def test_more_only_appends():
    pixels = binarise(made(train=60, rows=7))
    full = image_examples(pixels, K=8, M=9, samples=5, seed=4)
    for K, M, samples in ((1, 4, 2), (3, 9, 5), (5, 1, 3), (8, 9, 4)):
        part = image_examples(pixels, K=K, M=M, samples=samples, seed=4)
        for name in ("xi", "label"):
            assert np.array_equal(part[name], full[name][:samples, :K])
        assert np.array_equal(part.eta, full.eta[:samples, :K, :M])
        assert np.array_equal(part.unseen, full.unseen[:samples, :K])
    other = image_examples(pixels, K=8, M=9, samples=5, seed=5)
    assert not np.array_equal(other.eta[:, :3], full.eta[:, :3])
    assert not np.array_equal(other.xi[:, 3:], full.xi[:, 3:])


def test_every_image_is_as_likely_as_another():
    """First example of 600 samples: chi square of which image, and of which class comes first (each P < 1e-6)."""
    told = {"eta": (("image", "site"), 1 - 2 * ((np.arange(31)[:, None] >> np.arange(5)) & 1).astype(np.int8))}
    label = [0] * 7 + [1] * 5 + [2] * 11 + [0, 1, 2] + [0] * 5
    split = ["train"] * 23 + ["test"] * 8
    pixels = xr.Dataset(told | {"label": ("image", label)}, {"split": ("image", split)})
    drawn = image_examples(pixels, K=3, M=1, samples=600, seed=11)
    image = ((1 - drawn.eta.values[:, :, 0]) // 2) @ (1 << np.arange(5))
    for c, size in ((0, 7), (1, 5), (2, 11)):
        counts = np.bincount(image[drawn.label.values == c], minlength=31)
        assert np.array_equal(np.flatnonzero(counts), [i for i in range(23) if label[i] == c])
        assert chi2.sf(np.sum((counts[counts > 0] - 600 / size) ** 2) / (600 / size), size - 1) > 1e-6
    first = np.bincount(drawn.label.values[:, 0])
    assert chi2.sf(np.sum((first - 200) ** 2) / 200, 2) > 1e-6


@pytest.mark.parametrize("protocol", ["supervised", "unsupervised"])
@pytest.mark.parametrize("P", [2, 3])
def test_energies_take_them(protocol, P):
    """The overlap n that a run reports at its first state is (r/R)(1/N) sum etabar sigma."""
    pixels = binarise(made(train=60, rows=7))
    drawn = image_examples(pixels, K=5, M=6, samples=2, seed=8)
    r = float(drawn.r.mean())
    energy = getattr(mt.OverlapEnergy, protocol)(drawn.eta, P=P, r=r)
    sigma = drawn.unseen.values[:, 1]
    n = np.stack([energy.overlaps(s, z) for z, s in enumerate(sigma)]) * energy.unit / energy.N
    shown = n if protocol == "supervised" else n.reshape(2, 5, 6).mean(axis=2)
    etabar = drawn.eta.values.mean(axis=2)
    expected = r / (r**2 + (1 - r**2) / 6) * np.einsum("zki,zi->zk", etabar, sigma) / energy.N
    assert shown == pytest.approx(expected, abs=1e-12)
    start = np.concatenate([drawn.xi.values[:, :3], drawn.unseen.values], axis=1)[:, None]
    run = mt.simulate(energy, T=0.1, chains=6, sweeps=4, burn_in=0, start=start, seed=1)
    assert run.energy.shape == (2, 1, 6, 4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda p: image_examples(p, K=0, M=1, seed=1), ValueError, r"^K must be in \[1, 2\^32\], got 0$"),
        (lambda p: image_examples(p, K=2.0, M=1, seed=1), TypeError, r"^K must be an integer"),
        (lambda p: image_examples(p, K=2, M=0, seed=1), ValueError, r"^M must be in \[1, 10\], the training images"),
        (lambda p: image_examples(p, K=2, M=11, seed=1), ValueError, r"^M must be in \[1, 10\], .* class, got 11$"),
        (lambda p: image_examples(p, K=2, M=1, samples=0, seed=1), ValueError, r"^samples must be in \[1, 2\^24\]"),
        (lambda p: image_examples(p, K=2, M=1, seed=-1), ValueError, r"^seed must be in \[0, 2\^64\), got -1$"),
        (lambda p: image_examples(p, K=2**32, M=9, seed=1), MemoryError, r"^eta of N = 12, K = 4294967296, M = 9"),
        (lambda p: image_examples(p[{"image": slice(37)}], K=1, M=1, seed=1), ValueError, r"^test images of a class"),
        (lambda p: archetypes(p[{"image": slice(37, None)}]), ValueError, r"^training images must be at least one"),
        (
            lambda p: archetypes(made()),
            TypeError,
            r"^pixels must be a dataset of mattis.binarise, .* got grey",
        ),
        (lambda p: image_examples(p.eta, K=1, M=1, seed=1), TypeError, r"^pixels must be .*, got DataArray$"),
        (lambda p: binarise(made().grey), TypeError, r"^images must be a dataset of mattis.load_images, with grey"),
        (lambda p: binarise(made(), balance=0.0), ValueError, r"^balance must be in \(0, 1\], got 0.0$"),
        (lambda p: binarise(made(), balance=1.1), ValueError, r"^balance must be in \(0, 1\], got 1.1$"),
        (
            lambda p: binarise(made(), threshold=256),
            ValueError,
            r"^threshold must be 'median' or in \[0, 255\], got 256$",
        ),
        (
            lambda p: binarise(made(), threshold="mean"),
            ValueError,
            r"^threshold must be 'median' or a number .*'mean'$",
        ),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(binarise(made()))


# --- the real images -------------------------------------------------------------------------------------------------


@cache
def real(name):
    return load_images(name, DATA)


@needs_data
@pytest.mark.parametrize(("name", "N", "r"), [("mnist", 285, 0.4288), ("fashion_mnist", 615, 0.5219)])
def test_what_is_left_of_real_images(name, N, r):
    """Sites, mean quality; a nearest archetype names most unseen images; the overlaps the docstring tells."""
    pixels = binarise(real(name))
    found = archetypes(pixels)
    assert pixels.sizes["site"] == N
    assert float(found.r.mean()) == pytest.approx(r, abs=5e-5)
    test = pixels.split.values == "test"
    overlap = pixels.eta.values[test].astype(np.float32) @ found.xi.values.T.astype(np.float32)
    assert np.mean(overlap.argmax(axis=1) == pixels.label.values[test]) > 0.6
    if name == "mnist":
        assert mean_overlap(found.xi.values) == pytest.approx(0.07, abs=5e-3)
        assert mean_overlap(archetypes(binarise(real(name), balance=1.0)).xi.values) == pytest.approx(0.65, abs=6e-3)


def mean_overlap(xi):
    C = xi.astype(float) @ xi.T / xi.shape[1]
    return C[~np.eye(len(C), dtype=bool)].mean()


@needs_data
def test_images_are_not_independent_flips():
    """Why figures of images lie below the theory: their pixels differ in quality.

    P = 4, K = 10, M = 32, started at the archetypes. Independent examples of the same archetypes and mean quality are
    retrieved as random patterns are; images are not; images whose pixels are drawn each by itself, which keeps the
    quality of every pixel and nothing else of an image, do as images. Bounds are 4 joint errors over 8 samples.
    """
    pixels = binarise(real("mnist"))
    drawn = image_examples(pixels, K=10, M=32, samples=8, seed=1)
    r, rng = float(drawn.r.mean()), np.random.default_rng(2)
    train = pixels.isel(image=pixels.split.values == "train")
    mixed = np.empty_like(drawn.eta.values)
    for z, mu in np.ndindex(8, 10):
        own = train.eta.values[train.label.values == drawn.label.values[z, mu]]
        mixed[z, mu] = own[rng.integers(0, len(own), (32, own.shape[1])), np.arange(own.shape[1])]
    flips = mt.examples(drawn.xi, r=r, M=32, seed=7)
    m, error = np.transpose([retrieved(eta, drawn.xi, r) for eta in (drawn.eta.values, mixed, flips)])
    theory = float(
        mt.solve(mt.DenseHebbian(P=4, gamma=0, T=0.1, protocol="supervised", r=r, M=32, etabar="binomial")).m
    )
    assert abs(m[0] - m[1]) < 4 * np.hypot(*error[:2])
    assert m[2] - m[0] > 0.4
    assert abs(m[2] - theory) < 0.01


def retrieved(eta, xi, r):
    """Mean overlap with the archetypes the chains start from, and its error over samples."""
    energy = mt.OverlapEnergy.supervised(eta, P=4, r=r)
    start = xi.values[:, None]
    run = mt.simulate(
        energy, T=0.1, chains=10, sweeps=20, burn_in=20, every=5, start=start, seed=1, observables=("spins",)
    )
    m = np.mean(run.spins.values[:, 0] * xi.values[:, :, None], axis=(1, 2, 3))
    return m.mean(), m.std(ddof=1) / np.sqrt(len(m))
