"""Every line of code in the documentation runs, prints what the page says, and gives the numbers of the literature."""

import re
from pathlib import Path

import jupytext
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = [ROOT / "docs" / "hopfield.md"]
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


@pytest.mark.parametrize("page", NOTEBOOKS, ids=lambda page: page.name)
def test_notebook(page, execute):
    notebook = execute(page)
    text = "".join(o.text for o in outputs(notebook) if o.get("name") == "stdout")
    # AGS, Ann. Phys. 173 (1987) 30, solved by an independent program; alpha_c also arXiv:2403.01907
    assert number(text, "m = ") == 0.9988777631
    assert number(text, "f = ") == -0.5001111650
    assert number(text, "capacity at T = 0: ") == 0.137905566495
    assert number(text, "with overlap ") == 0.9674171157
    assert number(text, "T_M at alpha = 0.05: ") == 0.5422550
    assert "unconverged: 0\n" in text
    assert number(text, "largest |m - theory| below T = 0.5: ") < 0.01
    assert number(text, "largest |e - theory| below T = 0.5: ") < 0.01
    assert not [o for o in outputs(notebook) if o.output_type == "error" or o.get("name") == "stderr"]
    assert len([o for o in outputs(notebook) if "image/png" in o.get("data", {})]) == 1
