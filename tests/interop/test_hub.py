"""Runs to and from a hub: a folder in the layout of its cache stands in for it."""

import shutil
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest

import lead
from lead.core.errors import RequestError, WorkError
from lead.core.runs import Run
from lead.generation import Sampling
from lead.interop.hub import find_run, pack_run

REVISION = "0123456789abcdef0123456789abcdef01234567"


class LocalHub:
    """Repositories as `huggingface_hub` keeps them on a disk: blobs, and links to them by name."""

    cache: Path

    def create_repo(self, repository: str, *, private: bool, exist_ok: bool) -> None:
        assert private and exist_ok
        (self.of(repository) / "refs").mkdir(parents=True, exist_ok=True)

    def of(self, repository: str) -> Path:
        return self.cache / f"models--{repository.replace('/', '--')}"

    def upload_folder(self, *, repo_id: str, folder_path: str) -> str:
        place = self.of(repo_id)
        (place / "refs" / "main").write_text(REVISION)
        (place / "blobs").mkdir()
        files = sorted(path for path in Path(folder_path).rglob("*") if path.is_file())
        for number, file in enumerate(files):
            blob = shutil.copy(file, place / "blobs" / str(number))
            link = place / "snapshots" / REVISION / file.relative_to(folder_path)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(blob)
        return f"hub/{repo_id}"


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(LocalHub, "cache", tmp_path / "hub", raising=False)
    monkeypatch.setattr(huggingface_hub, "HfApi", LocalHub)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    fetch = huggingface_hub.snapshot_download
    monkeypatch.setattr(
        huggingface_hub,
        "snapshot_download",
        lambda name, **options: fetch(name, cache_dir=tmp_path / "hub", **options),
    )
    return tmp_path / "hub"


ASKED = (["a person walks"], [30], [7])


@pytest.mark.parametrize("kind", ["flow_run", "timed_flow_run"])
def test_what_was_pushed_makes_the_same_motion(kind, request, hub):
    """With nothing of the folders where it was trained, whatever it stands on."""
    run = request.getfixturevalue(kind)
    few = Sampling("euler", steps=2, guidance_scale=2.0)
    wanted = lead.load(run.folder, device="cpu").generate(*ASKED, few)[0].joints
    assert lead.push(run, "owner/walker") == "hub/owner/walker"
    found = find_run("owner/walker")
    assert hub in found.folder.parents and found.has_ancestor([*run.record.parents][0])
    model = lead.load("owner/walker", device="cpu")
    np.testing.assert_array_equal(model.generate(*ASKED, few)[0].joints, wanted)
    text = (found.folder / "README.md").read_text()
    front, body = text.split("---\n")[1:3]
    assert "library_name: lead" in front and "license: other" in front
    assert 'load("OWNER/walker")' in body and run.record.dataset.name in body
    assert not [key for key in found.record.values if key in ("dataset", "run", "vae")]


def test_a_model_draws_by_its_runs_own_sampling(flow_run):
    model = lead.load(flow_run.folder, device="cpu", **{"sampling.steps": 2, "sampling": "euler16"})
    assert (model.sampling.sampler, model.sampling.steps) == ("euler", 2)
    plain = model.generate(*ASKED)[0].joints
    np.testing.assert_array_equal(plain, model.generate(*ASKED, model.sampling)[0].joints)


def test_a_name_finds_what_ships(flow_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pack_run(flow_run, tmp_path / "checkpoints" / "walker")
    assert lead.load("walker", device="cpu").fps == flow_run.record.dataset.fps


@pytest.mark.parametrize("name", ["nobody/nothing", "nothing", "../nothing"])
def test_a_name_of_nothing_is_one_line(hub, name):
    with pytest.raises(RequestError) as error:
        find_run(name).record  # noqa: B018
    assert name in str(error.value) and "\n" not in str(error.value)
    assert len(str(error.value)) <= 300


def test_what_the_hub_refuses_is_one_line(flow_run, hub, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError("401 Client Error:\nnot yours")

    monkeypatch.setattr(LocalHub, "create_repo", refuse)
    with pytest.raises(WorkError, match="owner/walker was not uploaded: 401 Client Error"):
        lead.push(flow_run, "owner/walker")
    with pytest.raises(RequestError, match="'walker' is no OWNER/NAME of the hub$"):
        lead.push(flow_run, "walker")


def test_a_run_without_weights_is_not_packed(flow_run, tmp_path):
    shutil.copytree(flow_run.folder, tmp_path / "run")
    (tmp_path / "run" / "weights" / "flow.safetensors").unlink()
    with pytest.raises(RequestError, match="holds no weights"):
        pack_run(Run(tmp_path / "run"), tmp_path / "packed")
    assert not (tmp_path / "packed").exists()
