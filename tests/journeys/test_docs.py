"""Every line of code in the documentation runs, prints what the page says, and gives the numbers of the literature."""

import re
from pathlib import Path

import jupytext
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = [ROOT / "docs" / f"{name}.md" for name in ("hopfield", "dense", "rsb", "multitasking", "kernels")]
DOCS = sorted(set((ROOT / "docs").glob("*.md")) - set(NOTEBOOKS))
README = ROOT / "README.md"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
SAID = re.compile(r"^ *(?:print|show)\(.*\)  # (.+)$", re.MULTILINE)


def run_blocks(page, capsys):
    """Run the python blocks of a page in order in one namespace.

    Returns, of each block that says what it prints, what it said and what it printed.
    """
    said, printed, namespace = [], [], {}
    capsys.readouterr()
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        exec(compile(block, str(page), "exec"), namespace)
        out = capsys.readouterr().out.splitlines()
        if SAID.search(block):
            said.append(SAID.findall(block))
            printed.append(out)
    return said, printed


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_page_prints_what_it_says(page, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said, printed = run_blocks(page, capsys)
    assert printed == said


def test_readme_runs(capsys, tmp_path, monkeypatch):
    if not README.exists():
        pytest.skip("there is no README.md")
    monkeypatch.chdir(tmp_path)
    run_blocks(README, capsys)


@pytest.fixture
def execute(tmp_path, monkeypatch):
    """Execute a notebook in a kernel of this environment, away from the user's own kernels and start-up files."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))

    def run(page):
        notebook = jupytext.read(page)
        client = NotebookClient(
            notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
        )
        client.execute()
        return notebook

    return run


def outputs(notebook):
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def number(text, before):
    """The number that follows some words."""
    return float(re.search(re.escape(before) + r"(-?[\d.]+\d)", text).group(1))


def printed(notebook):
    """What a notebook prints, once it has run without an error or a warning and drawn one figure."""
    assert not [o for o in outputs(notebook) if o.output_type == "error" or o.get("name") == "stderr"]
    assert len([o for o in outputs(notebook) if "image/png" in o.get("data", {})]) == 1
    return "".join(o.text for o in outputs(notebook) if o.get("name") == "stdout")


def test_hopfield_notebook(execute):
    text = printed(execute(NOTEBOOKS[0]))
    # AGS, Ann. Phys. 173 (1987) 30, solved by an independent program; alpha_c also arXiv:2403.01907
    assert number(text, "m = ") == 0.9988777631
    assert number(text, "f = ") == -0.5001111650
    assert number(text, "capacity at T = 0: ") == 0.137905566495
    assert number(text, "with overlap ") == 0.9674171157
    assert number(text, "T_M at alpha = 0.05: ") == 0.5422550
    assert "unconverged: 0\n" in text
    assert number(text, "largest |m - theory| below T = 0.5: ") < 0.01
    assert number(text, "largest |e - theory| below T = 0.5: ") < 0.01


def test_rsb_notebook(execute):
    """It asserts the rest by itself."""
    text = printed(execute(NOTEBOOKS[2]))
    # Kirkpatrick and Thirumalai, Phys. Rev. B 36 (1987) 5388; Gardner, Nucl. Phys. B 257 (1985) 747: by an
    # independent program
    assert number(text, "T_d = ") == 0.681598041
    assert number(text, "T_s = ") == 0.651385227
    assert number(text, "T_G = ") == 0.240260036
    assert number(text, "gamma_c: 0.378285646, with one step ") == 0.461211787  # replica symmetric: explicit


def test_multitasking_notebook(execute):
    """It asserts the rest by itself."""
    text = printed(execute(NOTEBOOKS[3]))
    # arXiv:2308.04106 gives the model; numbers by an independent program, by rows and by Fourier transform
    assert "[0.6, 0.25363098, 0.10187816, 0.04075162] 0.0486487" in text  # T_c, T_2, T_3, T_4 at d = 0.4; T_s(0.8, 3)
    assert "[-0.120192 -0.119168]" in text  # at T = 0: m^2/2 by hand, (0.368, 0.272, 0.176) and (0.4, 0.24, 0.144)
    assert number(text, "K = 1: alpha_c = ") == 0.027468923
    assert number(text, "examples needed, one step: ") == 25.6
    assert number(text, "T = 0.15: m = ") == 0.9970461801
    for k in (1, 2, 3):
        theory, seen = (float(x) for x in re.search(rf"m_{k} = ([\d.]+), simulated ([\d.]+)", text).groups())
        assert abs(theory - seen) < 1e-3


def test_dense_notebook(execute):
    text = printed(execute(NOTEBOOKS[1]))
    # all but the limits at the end from an independent program; T_d and T_s are those of the Ising P-spin glass
    assert number(text, "m = ") == 0.9852947657
    assert number(text, "f = ") == -0.5033965094
    assert number(text, "capacity at T = 0, P = 3 and 5: ") == 0.3782856462
    assert number(text, "0.3782856462 and ") == 0.4319313850
    assert number(text, "T/sqrt(gamma) = ") == 0.3750
    assert number(text, "largest capacity: ") == number(text, "T_d^2 = ") == 0.4602415593
    assert number(text, "first-order line at T = T_s^2: ") == number(text, "; T_s^2 = ") == 0.3805449929
    assert number(text, "rho = 0.10: full ") == 0.261156598
    assert number(text, "0.261156598, low entropy ") == 0.199194510
    assert number(text, "100 examples of quality 0.5: supervised ") == 0.34320158
    assert number(text, "0.34320158, unsupervised ") == 0.10881025
    assert "unconverged: 0\n" in text
    assert float(re.search(r"largest \|m - q\| on the line: (\S+),", text).group(1)) < 1e-12
    assert number(text, "largest |m - theory of this N| at N = 80 and 160: ") < 0.01
    assert number(text, "plefka1: m = ") == 1.0
    assert abs(number(text, "plefka2: m = ") - number(text, "simulation: ")) < 0.01


def test_kernels_notebook(execute):
    text = printed(execute(NOTEBOOKS[4]))
    hand, ours = re.findall(r"K = ([\d.]+), Theta = ([\d.]+)", text)  # Cho and Saul (2009), written out on the page
    assert hand == ours
    rows = [
        [float(v) for v in row] for row in re.findall(r"limit\) = +(\S+) \+- (\S+), n\^\(1/2\) spread = (\S+)", text)
    ]
    assert len(rows) == 4
    assert rows[0][0] < -5 * rows[0][1]  # the mean is off, by 1/n: n times it is one number within five errors
    assert all(abs(bias - rows[0][0]) < 5 * (error + rows[0][1]) for bias, error, _ in rows)
    assert max(s for *_, s in rows) < 1.3 * min(s for *_, s in rows)
    no_bias, guess, best, scikit = (float(v) for v in re.findall(r"ln p = (-[\d.]+)", text))
    assert no_bias < guess < best == scikit
    near, far = (float(re.search(rf"n = {n}: distance from its flow \[[\d.]+ +([\d.]+)\]", text)[1]) for n in (128, 32))
    assert near < far
    subtracted, carried = re.search(r"delta = 1e-09: over delta\^2, subtracted (\S+), carried (\S+);", text).groups()
    assert carried == "0.666666667"  # sigma_w^2/d
    assert abs(float(subtracted) - 2 / 3) > 0.1
    assert re.search(r"ordered: .*c\* = 1\.000000", text)
    same, other, moved = re.search(r"GlobalAvgPool.*\[(\S+) (\S+) (\S+)\]", text).groups()
    assert same == moved != other
    assert "as in memory: True" in text
    curve = re.findall(r"theory ([\d.]+), points ([\d.]+)", text)
    assert len(curve) == 5
    assert all(abs(float(theory) - float(points)) < 0.02 for theory, points in curve)
    assert (text.count("ValueError: "), text.count("NotPositiveDefinite: ")) == (5, 1)
