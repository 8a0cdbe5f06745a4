"""The command line ``mattis solve | sweep | simulate | figures | info``; what is heavy is imported when it is used."""

import argparse
import json
import math
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import nullcontext
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from .core.errors import BackendUnavailable, ConvergenceError, StoreError, require

mt: Any = sys.modules[__package__]  # the package loads its names when they are asked for
MODELS = {  # name here: the class, its parameters, and how many of these have no default
    "hopfield": ("Hopfield", ("alpha", "T", "protocol", "rho", "r", "M", "etabar"), 2),
    "dense": ("DenseHebbian", ("P", "gamma", "T", "protocol", "rho", "r", "M", "closure", "diagonal", "etabar"), 3),
    "multitasking": ("Multitasking", ("d", "T", "K", "alpha", "protocol", "rho", "r", "M", "normalization"), 3),
    "sk": ("SherringtonKirkpatrick", ("T", "h"), 1),
    "curie_weiss": ("CurieWeiss", ("T",), 1),
}
PARAMETERS = {"P": "spins per interaction, an integer >= 3", "M": "examples per pattern, an integer >= 1"}
PARAMETERS |= {"alpha": "load K/N, >= 0", "gamma": "load K P!/(2 N^(P-1)), >= 0"}
PARAMETERS |= {"T": "temperature (of P > 2: T'), >= 0, in J/k_B", "h": "uniform field, in J (default 0)"}
PARAMETERS |= {"rho": "dataset entropy (1 - r^2)/(M r^2), >= 0"}
PARAMETERS |= {"protocol": "storing (default), supervised or unsupervised", "r": "quality of an example, in (0, 1]"}
PARAMETERS |= {"closure": "full (default) or low_entropy", "diagonal": "excluded (default) or included"}
PARAMETERS |= {"etabar": "mean example, gaussian (default) or binomial", "normalization": "raw (default) or unit"}
PARAMETERS |= {"K": "patterns retrieved together, an integer >= 1", "d": "part of entries that are blank, in [0, 1)"}
WORDS = ("P", "K", "protocol", "closure", "diagonal", "etabar", "normalization")
UNITS = {"T": "J/k_B", "h": "J", "free_energy": "J", "energy": "J", "entropy": "k_B", "tau_int": "sweeps", "label": ""}
UNITS |= {"energy_error": "J", "energy_theory": "J"}  # per spin; a quantity not listed is a pure number
HIDDEN = ("converged", "n_steps", "short", "admissible")  # what the text leaves to JSON
NUMBERS = "numbers or ranges start:stop:count (both ends included, count >= 2)"
ERRORS: dict[type[Exception], int] = {ConvergenceError: 1, BrokenExecutor: 3, StoreError: 4, OSError: 4}
ERRORS |= dict.fromkeys((ValueError, TypeError, MemoryError, BackendUnavailable), 2)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit codes: 0 done (unconverged points of a sweep are marked and counted), 1 no convergence, 2 bad input,
    3 points of a sweep failed, 4 a store or a file cannot be used, 130 interrupted."""
    args = argparse.Namespace()
    try:  # after a blank, -0.1:0.1:5 and -inf are not taken for options
        words = [re.sub(r"^-(?=\.?\d|inf|nan)", " -", word) for word in (sys.argv[1:] if argv is None else argv)]
        _parser().parse_args(words, args)
        return int(args.run(args))
    except SystemExit as left:  # --help, --version, or SIGTERM within a sweep
        return int(left.code or 0)
    except KeyboardInterrupt:
        kept = getattr(args, "store", None) or getattr(args, "checkpoint", None)
        told = f": what was finished is kept in {kept}, and the same command resumes" if kept and kept.exists() else ""
        print(f"mattis: interrupted{told}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # who reads our output has left; the flush at exit must not fail once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except tuple(ERRORS) as error:
        print(f"mattis: error: {error}", file=sys.stderr)
        return next(code for kind, code in ERRORS.items() if isinstance(error, kind))


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="mattis", description=mt.__doc__, epilog=main.__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"mattis {mt.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, run, says in (("solve", _solve, "a model at some points"), ("sweep", _sweep, "a model on a grid")):
        models = _command(commands, name, run, says).add_subparsers(dest="model", required=True, metavar="model")
        for model in MODELS:
            _add_model(models, model, run)
    _add_simulate(commands)
    p = _command(commands, "figures", _figures, "compute and draw the figures of the package")
    p.add_argument("names", nargs="*", help="which, or how their names begin (default: all)")
    p.add_argument("--draft", action="store_true", help="small and coarse, within seconds")
    p.add_argument("--out", type=Path, metavar="FOLDER", help="default runs/figures; of drafts runs/figures/draft")
    _command(commands, "info", _info, "versions, commit, cores, compiler cache and GPU")
    return parser


def _command(commands: Any, name: str, run: Callable[[argparse.Namespace], int], says: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=says, description=says, allow_abbrev=False)
    parser.set_defaults(run=run)
    return parser


def _add_model(commands: Any, model: str, run: Callable[[argparse.Namespace], int]) -> None:
    cls, names, needed = MODELS[model]
    p = _command(commands, model, run, f"{cls}, replica symmetric, on the grid of its parameters: {NUMBERS}")
    for name in names:
        kind, n, need = int if name in ("P", "K") else str, None if name in WORDS else "+", name in names[:needed]
        p.add_argument(f"--{name}", nargs=n, type=kind, required=need, metavar=name, help=PARAMETERS[name])
    nargs, usual = (None, "the model's first") if run is _solve else ("+", "all of the model's")
    p.add_argument("--start", nargs=nargs, help=f"where iteration begins (default: {usual})")
    if run is _solve:
        p.add_argument("--json", action="store_true", help="every digit; nan and inf are null")
        return
    p.add_argument("--store", type=Path, required=True, help="a folder (zarr); the same command resumes")
    where = p.add_mutually_exclusive_group()
    where.add_argument("--workers", type=int, default=1, help="processes (1: this one)")
    where.add_argument("--dask", metavar="ADDRESS", help="of a scheduler, such as tcp://host:8786")


def _add_simulate(commands: Any) -> None:
    p = _command(commands, "simulate", _simulate, "Monte Carlo of the Hopfield network beside its replica theory")
    p.add_argument("--N", type=int, required=True, help="spins")
    load = p.add_mutually_exclusive_group(required=True)
    load.add_argument("--alpha", type=float, help="load: alpha N patterns, rounded")
    load.add_argument("--K", type=int, help="patterns")
    p.add_argument("--T", nargs="+", required=True, metavar="T", help=f"temperatures > 0 in J/k_B: {NUMBERS}")
    p.add_argument("--samples", type=int, default=8, help="independent sets of patterns (8)")
    p.add_argument("--chains", type=int, default=1, help="per sample and temperature (1)")
    p.add_argument("--sweeps", type=int, default=400, help="measured (400)")
    p.add_argument("--burn-in", type=int, default=200, help="sweeps before (200)")
    p.add_argument("--every", type=int, default=1, help="sweeps per draw (1)")
    p.add_argument("--start", choices=("pattern", "random"), default="pattern")
    p.add_argument("--sampler", choices=("heat_bath", "metropolis"), default="heat_bath")
    p.add_argument("--order", choices=("sequential", "permutation", "random"), default="sequential", help="of sites")
    p.add_argument("--seed", type=int, default=1, help="of patterns and chains (1)")
    p.add_argument("--threads", type=int, help="default one per core; never changes a number")
    p.add_argument("--checkpoint", type=Path, metavar="FILE.npz", help="the same command continues from it")
    p.add_argument("--out", type=Path, metavar="FILE.nc", help="keep all overlaps and energies (netCDF)")
    p.add_argument("--json", action="store_true", help="every digit; nan and inf are null")


def _values(name: str, texts: Sequence[str]) -> list[float]:
    """The numbers, and every range start:stop:count written out."""
    found: list[float] = []
    for text in texts:
        try:
            start, stop, count = text.split(":") if ":" in text else (text, text, "2")
            if int(count) < 2:
                raise ValueError
            with np.errstate(all="ignore"):
                found += np.linspace(float(start), float(stop), int(count)).tolist() if ":" in text else [float(text)]
        except ValueError:
            raise ValueError(f"{name} must be {NUMBERS}, got {text.strip()!r}") from None
    return found


def _asked(args: argparse.Namespace) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """The class, its parameters with several values, and those with one value or a word."""
    name, parameters, _ = MODELS[args.model]
    given = {p: getattr(args, p) for p in parameters if getattr(args, p) is not None}
    values = {p: [text] if p in WORDS else _values(p, text) for p, text in given.items()}
    over = {p: np.array(v) for p, v in values.items() if len(v) > 1}
    return getattr(mt, name), over, {p: v[0] for p, v in values.items() if p not in over}


def _solve(args: argparse.Namespace) -> int:
    from .sweeps.grid import on_grid

    Model, over, const = _asked(args)
    failure = None
    try:
        found = mt.solve(on_grid(Model, over, const).flat(), args.start)
    except ConvergenceError as error:
        found, failure = error.solution, error
    columns = {p: getattr(found, p) for p in MODELS[args.model][1] if p in {*over, *const} and p not in WORDS}
    columns["label"] = None
    for name, v in (found.values | {"label": np.where(found.converged, found.label, "unconverged")}).items():
        columns |= {f"{name}_{k + 1}": v[:, k] for k in range(v.shape[1])} if v.ndim > 1 else {name: v}
    words = {p: const[p] for p in WORDS if p in const}
    _print(args.json, {"model": Model.__name__, "start": args.start or Model.starts[0]} | words, columns)
    if failure:
        raise failure
    return 0


def _print(as_json: bool, about: Mapping[str, Any], columns: Mapping[str, Any]) -> None:
    """One JSON object, or what all points share and aligned columns under their names and units."""
    if as_json:
        plain = [[v if isinstance(v, str) or math.isfinite(v) else None for v in c.tolist()] for c in columns.values()]
        points = [dict(zip(columns, row, strict=True)) for row in zip(*plain, strict=True)]
        print(json.dumps({**about, "points": points}, indent=1, allow_nan=False))
        return
    cells = [[name, UNITS.get(name, "1"), *map(_text, v)] for name, v in columns.items() if name not in HIDDEN]
    aligned = [[cell.rjust(max(map(len, column))) for cell in column] for column in cells]
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print("\n".join(map("  ".join, zip(*aligned, strict=True))))


def _text(value: Any) -> str:
    """Six digits, but one of what is mere rounding."""
    if isinstance(value, str) or math.isnan(value):
        return value if isinstance(value, str) else "-"
    return format(value, ".0e" if 0 < abs(value) < 1e-9 else ".6g")


def _sweep(args: argparse.Namespace) -> int:
    require(args.workers >= 1, "--workers", args.workers, ">= 1")
    Model, over, const = _asked(args)
    with _executor(args) as executor:
        ds = mt.sweep(Model, over=over, const=const, starts=args.start, executor=executor, store=args.store)
    phases, told = zip(*np.unique(mt.classify(ds).phase, return_counts=True), strict=True), ds.attrs
    lines = {
        "points": f"{ds.status.size} = " + " x ".join(f"{ds.sizes[name]} {name}" for name in ds.status.dims),
        "unconverged": str(told["n_unconverged"]) + " (kept and marked)" * (told["n_unconverged"] > 0),
        "failed": told["n_failed"],
        "worst": f"residual {told['worst_residual']:.1e}, quadrature error {told['worst_quadrature_error']:.1e}",
        "phases": ", ".join(f"{name} {count}" for name, count in phases),
        "store": f"mattis.classify(xarray.open_zarr({str(args.store)!r}, consolidated=False).load())",
    }
    print("\n".join(f"{name:12}{value}" for name, value in lines.items()))
    if told["n_failed"]:
        print(f"mattis: error: {told['n_failed']} points failed, first {told['failures'][0]}", file=sys.stderr)
    return 3 if told["n_failed"] else 0


def _executor(args: argparse.Namespace) -> Any:
    """Processes of this machine or of a dask cluster, as a context; without either this process alone."""
    from .sweeps.sweep import worker_init

    if args.dask:
        try:
            return import_module("distributed").Client(args.dask, timeout=10).get_executor(pure=False)
        except (ImportError, OSError) as error:
            raise BackendUnavailable(f"--dask needs a scheduler and pip install 'mattis[cluster]': {error}") from None
    if args.workers > 1:
        return ProcessPoolExecutor(args.workers, mp_context=get_context("spawn"), initializer=worker_init)
    return nullcontext()


def _simulate(args: argparse.Namespace) -> int:
    require(args.sweeps >= 1, "--sweeps", args.sweeps, ">= 1")
    require(args.K is not None or 0 < args.alpha < math.inf, "--alpha", args.alpha, "finite and > 0")
    require(args.out is None or args.out.parent.is_dir(), "--out", str(args.out), "in a folder that exists")
    T, K = _values("T", args.T), args.K if args.alpha is None else round(args.alpha * args.N)
    energy = mt.OverlapEnergy.hebbian(mt.patterns(N=args.N, K=K, samples=args.samples, seed=args.seed))
    sampler = {"heat_bath": mt.HeatBath, "metropolis": mt.Metropolis}[args.sampler](order=args.order)
    about = {name: getattr(args, name) for name in ("chains", "sweeps", "burn_in", "every", "start", "seed")}
    ds = mt.simulate(energy, sampler=sampler, T=T, threads=args.threads, checkpoint=args.checkpoint, **about)
    columns = _beside_theory(ds)
    network = {"N": args.N, "K": K, "alpha": K / args.N, "samples": args.samples, "sampler": repr(sampler)}
    _print(args.json, network | about, columns)
    if args.out is not None:  # netCDF has no integers of 64 bits
        ds.assign_attrs(seed=str(args.seed)).to_netcdf(args.out, engine="scipy")
    if columns["short"].any():
        at = ", ".join(f"{T:g}" for T in ds.T.values[columns["short"]])
        print(f"mattis: note: at T = {at} a chain is shorter than 50 tau_int, which is then not known", file=sys.stderr)
    return 0


def _beside_theory(ds: Any) -> dict[str, Any]:
    """Measured, replica symmetric and pull; nan where the start need not end on that solution."""
    from .sweeps.solve import default_solver, evaluate

    model = mt.Hopfield(alpha=ds.attrs["K"] / ds.attrs["N"], T=ds.T.values)
    theory = evaluate(model, "retrieval", default_solver)
    ends = ("retrieval", "paramagnet") if ds.attrs["start"] == "pattern" else ("paramagnet",)
    known = theory["converged"] & theory["stable"] & np.isin(model.label(theory), ends)
    columns = {"T": ds.T.values}
    for name, measured in {"m": ds.overlap.isel(mu=0), "energy": ds.energy}.items():
        found = mt.summary(measured.to_dataset(name=name), name)
        error, there = found.error.values, np.where(known, theory[name], np.nan)
        pull = (found["mean"].values - there) / np.where(error > 0, error, np.nan)
        columns |= {name: found["mean"].values, f"{name}_error": error, f"{name}_theory": there, f"{name}_pull": pull}
        if name == "m":
            columns["tau_int"] = found.tau_int.max("sample").values * ds.attrs["every"]
            columns["r_hat"], columns["short"] = found.r_hat.max("sample").values, found.short.any("sample").values
    return columns


def _figures(args: argparse.Namespace) -> int:
    from .figures.recipe import recipes

    folder = args.out or Path("runs/figures/draft" if args.draft else "runs/figures")
    for recipe in recipes(args.names):
        print("\n".join(str(path) for path in recipe.make(folder, draft=args.draft)), flush=True)
    return 0


def _info(args: argparse.Namespace) -> int:
    from .core.backend import cores, cupy
    from .core.jit import cache_home, sources_hash
    from .core.versions import commit, versions

    home = cache_home()
    told = {"mattis": mt.__version__, "commit": commit(), "cores": cores()}
    told |= versions("numpy", "scipy", "numba", "xarray", "zarr", "matplotlib")
    told["numba cache"] = home / "numba" / sources_hash() if home else "none: no folder can be written"
    try:
        told["gpu"] = f"{cupy().cuda.runtime.getDeviceCount()} CUDA devices"
    except Exception as reason:  # a broken driver or package is told, whatever it raises
        told["gpu"] = f"none: {reason}"
    print("\n".join(f"{name:12}{value}" for name, value in told.items()))
    return 0
