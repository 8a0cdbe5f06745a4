"""The compiled-code cache: an edit is seen at once, nothing stops an import, a second process compiles nothing.

Each case that went wrong with the cache Numba has of its own is one test: there, a cached function kept the numbers of
a callee, or of a module constant, that had been edited since. Every test runs a small copy in processes of its own.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mattis
from mattis.core import jit

ROOT = Path(mattis.__file__).parent
CALLER = """
from ..core.jit import njit
from .callee import g, FACTOR

@njit()
def f(x):
    return FACTOR * g(x)

@njit()
def twice(x):
    return 2.0 * x
"""
CALLEE = """
from ..core.jit import njit

FACTOR = 10.0

@njit()
def g(x):
    return x + 1.0
"""
RUN = "from mattis.mc.caller import f, twice; print(f(1.0), twice(3.0))"


@pytest.fixture
def package(tmp_path):
    """A copy of core/ with two compiled functions in two files, importable as mattis from its parent."""
    root = tmp_path / "site" / "mattis"
    for name in jit.PACKAGES:
        (root / name).mkdir(parents=True)
        (root / name / "__init__.py").touch()
    (root / "__init__.py").touch()
    shutil.copy(ROOT / "core" / "jit.py", root / "core")
    (root / "mc" / "caller.py").write_text(CALLER)
    (root / "mc" / "callee.py").write_text(CALLEE)
    return root


def run(package, code=RUN, **environment):
    """Standard output of a fresh interpreter that finds the copy first and writes no bytecode."""
    kept = {k: v for k, v in os.environ.items() if k not in ("MATTIS_CACHE", "NUMBA_CACHE_DIR", "NUMBA_DISABLE_JIT")}
    base = {"XDG_CACHE_HOME": str(package.parent.parent / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(package.parent)!r}); {code}"],
        env=kept | base | environment,
        cwd=package.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def compiled(folder):
    """Name and time of writing of every compiled function under a folder."""
    return {p.relative_to(folder): p.stat().st_mtime_ns for p in sorted(folder.rglob("*.nb[ci]"))}


def test_an_edit_is_seen_at_once_and_a_second_process_hits(package):
    """Callee in another file edited; then a module constant; then nothing."""
    cache = package.parent.parent / "cache" / "mattis" / "numba"
    assert run(package) == "20.0 6.0"
    first = compiled(cache)
    assert len(first) >= 4  # an index and at least one body for f, g or twice
    assert run(package) == "20.0 6.0"
    assert compiled(cache) == first

    callee = package / "mc" / "callee.py"
    callee.write_text(CALLEE.replace("x + 1.0", "x + 100.0"))
    assert run(package) == "1010.0 6.0"
    callee.write_text(CALLEE.replace("FACTOR = 10.0", "FACTOR = 7.0"))
    assert run(package) == "14.0 6.0"

    second = compiled(cache)
    assert first.items() <= second.items()
    assert len({p.parts[0] for p in second}) == 3
    assert run(package) == "14.0 6.0"
    assert compiled(cache) == second

    callee.write_text(CALLEE)
    assert run(package) == "20.0 6.0"
    assert compiled(cache) == second  # the first folder serves again


def test_nothing_is_written_beside_the_sources(package):
    before = sorted(package.rglob("*"))
    run(package)
    assert sorted(package.rglob("*")) == before


def test_other_processors_have_entries_of_their_own(package):
    """NUMBA_CPU_NAME=generic, then native: no clash."""
    cache = package.parent.parent / "cache" / "mattis" / "numba"
    assert run(package, NUMBA_CPU_NAME="generic") == "20.0 6.0"
    before = compiled(cache)
    assert run(package) == "20.0 6.0"
    assert len(compiled(cache)) > len(before)


def test_nowhere_to_write(package, tmp_path):
    """Every home a file instead of a folder, read-only sources: the import works and compiles without a cache.

    The owner of a machine may write anywhere, so a file in the place of a folder stands for "may not".
    """
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    for path in (package, *package.rglob("*")):
        path.chmod(path.stat().st_mode & ~0o222)
    nowhere = dict.fromkeys(("MATTIS_CACHE", "XDG_CACHE_HOME", "HOME"), str(blocked))
    code = f"import tempfile; tempfile.tempdir = {str(blocked)!r}; {RUN}; import mattis.core.jit as j; print(j._CACHE)"
    assert run(package, code, **nowhere).split() == ["20.0", "6.0", "None"]
    assert blocked.read_text() == "a file"
    for path in (package, *package.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)


def test_a_home_that_only_numba_cannot_write_is_no_error(package):
    """Numba's own RuntimeError at decoration ("no locator available") falls back to compiling without a cache."""
    code = (
        "import numba; real = numba.njit\n"
        "def refusing(*a, cache=False, **k):\n"
        "    if cache: raise RuntimeError('cannot cache function: no locator available')\n"
        "    return real(*a, **k)\n"
        f"numba.njit = refusing\n{RUN}"
    )
    assert run(package, code) == "20.0 6.0"


def test_two_processes_at_once(package):
    """Both compile, neither fails, a third hits."""
    code = RUN
    kept = os.environ | {"XDG_CACHE_HOME": str(package.parent.parent / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    kept.pop("MATTIS_CACHE", None)
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(package.parent)!r}); {code}"]
    both = [subprocess.Popen(command, env=kept, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [p.communicate(timeout=120)[0].strip() for p in both] == ["20.0 6.0"] * 2
    before = compiled(package.parent.parent / "cache")
    assert run(package) == "20.0 6.0"
    assert compiled(package.parent.parent / "cache") == before


def test_the_setting_of_numba_is_put_back_and_obeyed(package, tmp_path):
    """NUMBA_CACHE_DIR of the user wins; ours is set during a decoration only."""
    code = f"{RUN}; import numba; print(repr(numba.config.CACHE_DIR))"
    assert run(package, code).split()[2] == "''"
    own = tmp_path / "own"
    run(package, NUMBA_CACHE_DIR=str(own))
    assert compiled(own)


def test_order_of_homes(tmp_path, monkeypatch):
    """MATTIS_CACHE, XDG_CACHE_HOME, ~/.cache, the temporary folder, nowhere."""
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    places = {"MATTIS_CACHE": tmp_path / "a", "XDG_CACHE_HOME": tmp_path / "b", "HOME": tmp_path / "c"}
    for name, path in places.items():
        monkeypatch.setenv(name, str(path))
    monkeypatch.setattr(jit.tempfile, "tempdir", str(tmp_path / "d"))
    assert jit.cache_home() == tmp_path / "a" / "mattis"
    monkeypatch.delenv("MATTIS_CACHE")
    assert jit.cache_home() == tmp_path / "b" / "mattis"
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert jit.cache_home() == tmp_path / "c" / ".cache" / "mattis"
    monkeypatch.setenv("HOME", str(blocked))
    assert jit.cache_home() == tmp_path / "d" / "mattis"
    monkeypatch.setattr(jit.tempfile, "tempdir", str(blocked))
    assert jit.cache_home() is None


def test_no_temporary_folder_at_all(monkeypatch, tmp_path):
    """tempfile raises FileNotFoundError where none of its candidates can be written: then a cache is not kept."""
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    for name in ("MATTIS_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.setenv(name, str(blocked))

    def none_usable():
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(jit.tempfile, "gettempdir", none_usable)
    assert jit.cache_home() is None


def test_a_cache_that_cannot_be_opened_stops_no_import(tmp_path, monkeypatch):
    """A home that can be written but holds a file called numba: the import must go on."""
    (tmp_path / "mattis").mkdir()
    (tmp_path / "mattis" / "numba").write_text("a file")
    monkeypatch.setattr(jit, "cache_home", lambda: tmp_path / "mattis")
    assert jit._open_cache() is None


def test_a_folder_that_vanishes_stops_no_import(tmp_path, monkeypatch):
    """Two processes clean at once: what the other deleted between listing and looking (here a dangling link)."""
    monkeypatch.setattr(jit, "cache_home", lambda: tmp_path)
    (tmp_path / "numba").mkdir()
    (tmp_path / "numba" / "gone").symlink_to(tmp_path / "nowhere")
    assert jit._open_cache() == str(tmp_path / "numba" / jit.sources_hash())


def test_old_folders_go(tmp_path, monkeypatch):
    """Not used for 30 days; opening a cache marks it used."""
    monkeypatch.setattr(jit, "cache_home", lambda: tmp_path)
    old, young = tmp_path / "numba" / "old", tmp_path / "numba" / "young"
    for path, days in ((old, 31), (young, 29)):
        path.mkdir(parents=True)
        then = path.stat().st_mtime - days * 24 * 3600
        os.utime(path, (then, then))
    own = Path(jit._open_cache())
    assert own == tmp_path / "numba" / jit.sources_hash()
    assert own.exists()
    assert young.exists()
    assert not old.exists()


def test_hash_reads_the_listed_packages_only(package, monkeypatch):
    """Virtual environment, tests and docs in the same root are never read; an edit beside compiled code changes it."""
    before = jit.sources_hash(package)
    assert len(before) == 12
    for folder in (".venv/lib", "tests", "docs", "build/core"):
        (package / folder).mkdir(parents=True)
        (package / folder / "noise.py").write_text("x = 1")
    (package / "mc" / "notes.txt").write_text("not code")
    assert jit.sources_hash(package) == before
    for name in jit.PACKAGES:
        (package / name / "__init__.py").write_text("# edited")
        assert (jit.sources_hash(package) != before) == (name in jit.COMPILED)
        assert jit.sources_hash(package, jit.PACKAGES) != jit.sources_hash(package)
        (package / name / "__init__.py").write_text("")
    (package / "mc" / "caller.py").rename(package / "mc" / "renamed.py")
    assert jit.sources_hash(package) != before

    opened = []
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: opened.append(self) or real(self))
    jit.sources_hash()
    assert opened
    assert {p.relative_to(ROOT).parts[0] for p in opened} <= {name.split("/")[0] for name in jit.COMPILED}
