"""Which solution rules at every point of a sweep."""

from importlib import import_module

import numpy as np
import xarray as xr

from ..theory.model import Model


def classify(ds: xr.Dataset) -> xr.Dataset:
    """Name the solution each start ended on, and the phase: the stable one of lowest free energy.

    Stable means ``stability`` > 0, the least real part of the spectrum of 1 - map' within the ansatz, and
    ``example_gain`` < 1 where there is one: where only that fails, and f is lower than that of all stable solutions, a
    state that overlaps with single examples is still lower, which is none of those named. Only a
    solution the model calls ``admissible`` is a phase: one with a free energy (in the Hopfield network D > 0), and in
    the dense network one that the broken glass cannot replace. The replicon does not decide.

    Parameters
    ----------
    ds : xr.Dataset
        As :func:`mattis.sweep` returns it, dims (start, *over).

    Returns
    -------
    xr.Dataset
        The same with ``label`` (start, *over), ``"unconverged"`` where the iteration failed, and ``phase``
        (*over), ``"none"`` where no start gave a stable solution that may be one, or single examples win.

    Raises
    ------
    ValueError
        If the dataset does not say which model it holds.

    Examples
    --------
    >>> import mattis as mt
    >>> ds = mt.sweep(mt.Hopfield, over={"alpha": [0.02, 0.08], "T": [0.3, 1.5]})
    >>> mt.classify(ds).phase.values.tolist()
    [['retrieval', 'paramagnet'], ['spin_glass', 'paramagnet']]
    """
    model = _model(ds)
    order = {str(k): v.values for k, v in ds.data_vars.items()}
    if "level" in ds.dims:
        order["q"] = ds.q.isel(level=-1).values
    label = np.where(ds.converged, model.label(order), "unconverged")
    f = ds.free_energy.where(ds.converged & ds.admissible & ds.stable).fillna(np.inf)
    best = f.argmin("start")
    labels = xr.DataArray(label, dims=f.dims, attrs={"long_name": "solution reached"})
    singly = ds.free_energy.where(ds.converged & (ds.stability > 0) & ~ds.stable).min("start")
    known = np.isfinite(f.min("start")) & ~(singly < f.min("start"))
    phase = labels.isel(start=best).where(known, "none")
    phase.attrs["long_name"] = "stable solution of lowest free energy"
    return ds.assign(label=labels, phase=phase.drop_vars("start", errors="ignore"))


def _model(ds: xr.Dataset) -> type[Model]:
    attrs = ds.attrs if isinstance(ds, xr.Dataset) else {}
    module, _, name = str(attrs.get("model", "")).partition(":")
    if not name:
        told = f"{type(ds).__name__} with {dict(attrs)!r}"
        raise ValueError(f"ds must be a dataset of mattis.sweep, with the attribute 'model', got a {told}")
    found: type[Model] = getattr(import_module(module), name)
    return found
