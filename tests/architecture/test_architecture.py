"""The house plan, read from the files: who imports whom, the table of public names, what an import loads."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mattis
from mattis.core.jit import COMPILED, PACKAGES

ROOT = Path(mattis.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TOP = ("__init__.py", "__main__.py", "cli.py")
MODULES = sorted(p for name in PACKAGES for p in (ROOT / name).rglob("*.py"))
FILES = [*(ROOT / name for name in TOP), *MODULES]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
FOLDERS_BESIDE = ("tests", "docs", "benchmarks")

MAY_IMPORT = {
    "core": {"core"},
    "theory": {"core", "theory"},
    "solvers": {"core", "solvers"},
    "mc": {"core", "mc"},
    "sweeps": {"core", "solvers", "theory.model", "theory.rsb", "sweeps"},
    "figures": set(PACKAGES) | {""},
    "cli": set(PACKAGES) | {""},
    "__main__": {"cli"},
    "__init__": set(PACKAGES),
}
"""Folder (or file at the top) -> what of the package it may import; "" is the package itself."""

ONLY_IN = {
    "matplotlib": ("figures/",),
    "numba": tuple(f"{name}/" for name in COMPILED),
    "cupy": ("core/backend.py", "mc/gpu", "theory/kernels/gpu"),
    "zarr": ("sweeps/store.py",),
}
HEAVY = ("numba", "cupy", "matplotlib", "zarr", "xarray", "scipy", "pandas", "tqdm", "dask", "distributed", "llvmlite")


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def tree_of(path):
    return ast.parse(path.read_text(), str(path))


def imports(path):
    """(line, absolute dotted name) of every import; ``from . import x`` and ``from a import x`` give a.x."""
    inside = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ["mattis", *inside[: len(inside) - node.level]] if node.level else []
            base += node.module.split(".") if node.module else []
            yield from ((node.lineno, ".".join([*base, alias.name])) for alias in node.names)


def imported_by_name(path):
    """(line, name) of ``import_module("name")`` and ``__import__("name")`` with a constant name."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if function in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


def allowed(target, permitted):
    """A dotted name below mattis against what is permitted; with "" also names of the package itself."""
    parts = target.split(".")
    if parts[0] not in (*PACKAGES, "cli"):
        return "" in permitted
    return any(parts[: len(p.split("."))] == p.split(".") for p in permitted if p)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_arrows(path):
    """core <- theory, solvers, mc; sweeps imports core, solvers and of theory only model and rsb; figures, cli all."""
    assert path.exists(), f"{name_of(path)} is missing"
    folder = path.relative_to(ROOT).with_suffix("").parts[0]
    ours = [(line, name) for line, name in (*imports(path), *imported_by_name(path)) if name.split(".")[0] == "mattis"]
    wrong = [
        (line, name) for line, name in ours if not allowed(name.removeprefix("mattis").lstrip("."), MAY_IMPORT[folder])
    ]
    assert not wrong


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_third_parties_stay_where_they_belong(path):
    found = {name.split(".")[0]: line for line, name in (*imports(path), *imported_by_name(path))}
    for library, places in ONLY_IN.items():
        if not name_of(path).startswith(places):
            assert library not in found, f"line {found[library]} imports {library}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_inside_the_package_are_relative(path):
    absolute = [
        node.lineno
        for node in ast.walk(tree_of(path))
        if (isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] == "mattis")
        or (isinstance(node, ast.Import) and any(a.name.split(".")[0] == "mattis" for a in node.names))
    ]
    assert not absolute


@pytest.mark.parametrize("path", [*FILES, *TESTS], ids=name_of)
def test_no_folder_is_imported_by_its_bare_name(path):
    """``import theory`` works by accident in the root and loads a second copy of everything."""
    bare = [
        (node.lineno, name)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        if not getattr(node, "level", 0) and name.split(".")[0] in (*PACKAGES, "cli", "tests")
    ]
    assert not bare


def test_the_rule_catches_a_wrong_arrow():
    """A planted fault: solvers importing theory, sweeps naming a model, theory reaching up."""
    assert not allowed("theory.model.Model", MAY_IMPORT["solvers"])
    assert not allowed("theory.hopfield.Hopfield", MAY_IMPORT["sweeps"])
    assert not allowed("theory", MAY_IMPORT["sweeps"])
    assert not allowed("mc.cpu", MAY_IMPORT["sweeps"])
    assert not allowed("sweeps.solve", MAY_IMPORT["theory"])
    assert not allowed("", MAY_IMPORT["mc"])
    assert not allowed("Hopfield", MAY_IMPORT["sweeps"])
    assert allowed("theory.model.Model", MAY_IMPORT["sweeps"])
    assert allowed("core.jit.njit", MAY_IMPORT["mc"])


def test_every_banned_name_is_told_to_ruff():
    banned = PROJECT["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]
    assert set(banned) == set(PACKAGES)


def test_top_level_files():
    """Every *.py at the top goes into the wheel."""
    assert sorted(p.name for p in ROOT.glob("*.py")) == sorted(TOP)


def test_packages_are_listed():
    """pyproject == folders with an __init__.py == the packages the compiled-code cache hashes."""
    folders = {p.parent.relative_to(ROOT).as_posix() for p in ROOT.glob("*/__init__.py")} - set(FOLDERS_BESIDE)
    assert folders == set(PACKAGES)
    nested = {p.parent.relative_to(ROOT).as_posix() for name in PACKAGES for p in (ROOT / name).rglob("__init__.py")}
    listed = {"mattis", *("mattis." + name.replace("/", ".") for name in nested)}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == listed
    assert PROJECT["tool"]["setuptools"]["include-package-data"] is False


def test_package_data_exists():
    for package, patterns in PROJECT["tool"]["setuptools"]["package-data"].items():
        folder = ROOT.joinpath(*package.split(".")[1:])
        for pattern in patterns:
            assert list(folder.glob(pattern)), (package, pattern)


def test_folders_reexport_nothing():
    for name in PACKAGES:
        body = tree_of(ROOT / name / "__init__.py").body
        assert len(body) == 1, name
        assert isinstance(body[0], ast.Expr), name


# --- public names ----------------------------------------------------------------------------------------------------

PUBLIC = sorted(mattis._WHERE)


def test_the_lazy_table_is_what_type_checkers_see():
    """_WHERE and the namespaces == the imports under TYPE_CHECKING == __all__, module by module."""
    guarded = next(n for n in tree_of(ROOT / "__init__.py").body if isinstance(n, ast.If))
    assert ast.unparse(guarded.test) == "TYPE_CHECKING"
    found = [(a, n.module) for n in guarded.body if isinstance(n, ast.ImportFrom) for a in n.names]
    seen = {a.name: module for a, module in found if module != "theory"}
    assert seen == mattis._WHERE
    assert {a.asname or a.name: f"{module}.{a.name}" for a, module in found if module == "theory"} == mattis._NAMESPACES
    assert sorted(mattis.__all__) == sorted([*PUBLIC, *mattis._NAMESPACES])
    assert set(PUBLIC) <= set(dir(mattis))
    assert mattis._FOLDERS == PACKAGES


def test_the_table_of_networks_is_what_type_checkers_see():
    """The same of ``mattis.nn``."""
    guarded = next(n for n in tree_of(ROOT / "theory/kernels/__init__.py").body if isinstance(n, ast.If))
    seen = {a.name: n.module for n in guarded.body if isinstance(n, ast.ImportFrom) for a in n.names}
    assert seen == mattis.nn._WHERE
    for name, module in seen.items():
        assert getattr(mattis.nn, name).__module__ == f"mattis.theory.kernels.{module}"
        assert name not in seen.values(), f"{name} is a module too, which an import would put in its place"


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name(name):
    """It resolves to what is defined where the table says, says what it is, and shows a number."""
    thing = getattr(mattis, name)
    assert thing.__module__ == f"mattis.{mattis._WHERE[name]}"
    assert inspect.getdoc(thing)
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return
    found = doctest.DocTestFinder(recurse=True).find(thing, name)
    assert any(test.examples for test in found), f"{name} has no example"


@pytest.mark.parametrize("name", mattis._NAMESPACES)
def test_public_namespace(name):
    """A module whose __all__ are functions and their results, all documented, the functions with a number."""
    module = getattr(mattis, name)
    for entry in module.__all__:
        thing = getattr(module, entry)
        assert inspect.getdoc(thing)
        if inspect.isfunction(thing):
            assert any(test.examples for test in doctest.DocTestFinder().find(thing, entry)), entry


def test_unknown_name():
    with pytest.raises(AttributeError, match=r"^module 'mattis' has no attribute 'Hopfeld'$"):
        mattis.Hopfeld  # noqa: B018


def every_module():
    """All modules of the listed packages; never the whole root, which holds .venv."""
    for name in PACKAGES:
        package = importlib.import_module(f"mattis.{name}")
        yield package.__name__
        yield from (m.name for m in pkgutil.walk_packages(package.__path__, f"mattis.{name}."))
    yield "mattis.cli"


@pytest.mark.parametrize("name", list(every_module()))
def test_examples(name, tmp_path, monkeypatch):
    """doctest.testmod, each module by its name in the package, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_import_is_light():
    """``import mattis`` loads nothing heavy: names are imported where first used (PEP 562)."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import mattis"], capture_output=True, text=True, check=True
    )
    lines = [line.split("|")[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")]
    start = max(i for i, name in enumerate(lines) if name == "site") + 1
    loaded = {name.split(".")[0] for name in lines[start:]}
    assert "mattis" in loaded
    assert loaded & {*HEAVY, "numpy"} == set()


# --- habits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_are_short(path):
    assert len(path.read_text().splitlines()) <= 300


def test_tests_are_modules_of_no_package():
    """Under importmode=importlib a test needs no __init__.py; a conftest at the top would go into the wheel."""
    assert not list((ROOT / "tests").rglob("__init__.py"))
    assert not (ROOT / "conftest.py").exists()


def test_version_is_said_once():
    assert mattis.__version__ == PROJECT["project"]["version"]
