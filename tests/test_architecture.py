"""The picture of the house in the README is true, and these tests would notice if it were not."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

from lead.cli.main import KINDS, MODULES, VERBS
from lead.core.building import CLASSES

# Started by name, not by an import: the console script and the verbs it looks up.
ENTRY_POINTS = {
    "lead.cli.main",
    *(f"lead.cli.{MODULES.get(verb, verb)}" for verb in VERBS),
    *(f"lead.cli.{verb}_{kind}" for verb, kinds in KINDS.items() for kind in kinds),
}
JUDGED = {"models", "diffusion", "generation", "inversion"}
CONTRACTS = ("rooms", "judge", "door")


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("lead", include_external_packages=True, cache_dir=None)


def lint_imports(folder: Path, *options: str) -> subprocess.CompletedProcess:
    """Check the contracts of ``folder/pyproject.toml`` against ``folder/lead``."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_import_contracts_hold(repository):
    result = lint_imports(repository)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("contract", "module", "line"),
    [
        ("rooms", "lead/core/intruder.py", "import lead.data"),
        ("rooms", "lead/data/intruder.py", "import lead.models"),
        ("rooms", "lead/attic/__init__.py", ""),
        ("judge", "lead/evaluation/intruder.py", "import lead.diffusion"),
        ("door", "lead/training/intruder.py", "import omegaconf"),
    ],
    ids=["upward", "sideways", "room-without-a-place", "judge-sees-judged", "config-inside"],
)
def test_a_broken_contract_is_noticed(repository, tmp_path, contract, module, line):
    shutil.copy(repository / "pyproject.toml", tmp_path)
    shutil.copytree(
        repository / "lead", tmp_path / "lead", ignore=shutil.ignore_patterns("__pycache__")
    )
    (tmp_path / module).parent.mkdir(exist_ok=True)
    (tmp_path / module).write_text(line + "\n")
    result = lint_imports(tmp_path, "--contract", contract)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "BROKEN" in result.stdout or "not listed" in result.stdout, result.stdout


def test_the_contracts_name_every_room_they_mean(repository):
    contracts = {
        contract["id"]: contract
        for contract in tomllib.loads((repository / "pyproject.toml").read_text())["tool"][
            "importlinter"
        ]["contracts"]
    }
    assert set(contracts) == set(CONTRACTS)
    existing = {room for room in JUDGED if (repository / "lead" / room).is_dir()}
    assert set(contracts["judge"]["forbidden_modules"]) == {f"lead.{room}" for room in existing}


def test_every_module_is_used(graph, repository):
    """A module is imported by another one, named in a YAML file or a string, or an entry point."""
    named = names_in_text(repository)
    unused = [
        module
        for module in sorted(graph.modules)
        if module.startswith("lead.")
        and not graph.find_children(module)
        and not is_package(repository, module)
        and not graph.find_modules_that_directly_import(module)
        and module not in ENTRY_POINTS | named
    ]
    assert not unused, f"imported by nothing: {', '.join(unused)}"


def test_a_verb_is_a_thin_file(repository):
    """Options in, one call, lines out: what a verb does stands in the rooms below."""
    lengths = {
        path: len(path.read_text(encoding="utf-8").splitlines())
        for path in (repository / "lead" / "cli").glob("*.py")
    }
    verbs = {repository / Path(*name.split(".")).with_suffix(".py") for name in ENTRY_POINTS}
    thick = [path.name for path in verbs if lengths[path] > 120 and path.stem != "main"]
    assert not thick and sum(lengths.values()) <= 2600


def names_in_text(repository: Path) -> set[str]:
    """Modules that YAML files and strings in our code name, e.g. ``_target_: lead.x.y.Class``."""
    names: set[str] = set()
    for folder, patterns in (("configs", ["*.yaml"]), ("lead", ["*.yaml", "*.py"])):
        for pattern in patterns:
            for path in (repository / folder).rglob(pattern):
                text = path.read_text(encoding="utf-8")
                wanted = r"[\"'](lead(?:\.\w+)+)" if path.suffix == ".py" else r"(lead(?:\.\w+)+)"
                for name in re.findall(wanted, text):
                    names |= {name, name.rpartition(".")[0]}
    for path in (repository / "scripts").glob("*.py"):
        names |= set(re.findall(r"lead(?:\.\w+)+", path.read_text(encoding="utf-8")))
    for kind in CLASSES.values():
        names |= {dotted.rpartition(".")[0] for dotted in kind.values()}
    return names


def is_package(repository: Path, module: str) -> bool:
    return (repository / Path(*module.split(".")) / "__init__.py").is_file()


def test_shapes_in_signatures_are_checked_in_tests():
    """The import hook is on: a mask asked for with a matrix of lengths is refused."""
    import jaxtyping
    import torch

    from lead.core.masks import lengths_to_mask

    assert lengths_to_mask(torch.tensor([2, 1])).tolist() == [[True, True], [True, False]]
    with pytest.raises(jaxtyping.TypeCheckError, match="lengths"):
        lengths_to_mask(torch.ones(2, 2, dtype=torch.long))


def test_the_test_run_uses_one_thread():
    import torch

    assert torch.get_num_threads() == 1
