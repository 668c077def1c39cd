"""Run directories: records, weights that fit, and the chain of earlier runs."""

import os
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from lead.core.building import CLASSES, PARTS
from lead.core.errors import RequestError, WorkError
from lead.core.files import write_json
from lead.core.reading import read_json
from lead.core.run_record import HOLDS, SCHEMA_VERSION
from lead.core.runs import GENERATIONS, Run, fill
from lead.representation.normalizer import Normalizer

NORMALIZER = {"_target_": "normalizer", "mean": [0.0, 0.0], "std": [1.0, 1.0]}
DATASET = {"name": "made", "skeleton": "humanml3d", "fps": 20.0, "frames": [10, 60]}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """A part of two numbers, which any kind of part may be for the time of a test."""
    target = f"{Normalizer.__module__}.{Normalizer.__qualname__}"
    for kind in PARTS:
        monkeypatch.setitem(CLASSES[kind], "normalizer", target)


def make_run(folder: Path, stage: str, parents: dict | None = None) -> Run:
    """A run of one stage with weights; ``parents`` maps stages to the runs it builds on."""
    run = Run(folder)
    weights = {"mean": torch.tensor([1.0, 2.0]), "std": torch.tensor([3.0, 4.0])}
    run.save_part(HOLDS[stage][0], weights)
    run.update(
        schema=SCHEMA_VERSION,
        stage=stage,
        parts={part: NORMALIZER for part in ("schedule", *HOLDS[stage])},
        parents={name: other.as_parent(folder) for name, other in (parents or {}).items()},
        text_encoder={"_target_": "hash"},
        judge={"name": "made", "tagger": "words"},
        dataset=DATASET,
    )
    return run


def test_a_text_names_a_run_as_its_path_does(tmp_path):
    run = Run(str(make_run(tmp_path / "run", "vae").folder))
    assert run == Run(tmp_path / "run") and isinstance(run.folder, Path)
    assert run.tensors("vae")["mean"].tolist() == [1, 2]


@pytest.fixture
def chain(tmp_path) -> tuple[Run, Run, Run]:
    """A VAE, a diffusion on it (its part is called denoiser), a projector on the diffusion."""
    vae = make_run(tmp_path / "a" / "vae", "vae")
    diffusion = make_run(tmp_path / "b", "diffusion", {"vae": vae})
    projector = make_run(tmp_path / "c", "projector", {"diffusion": diffusion})
    return vae, diffusion, projector


def fresh(run: Run) -> Run:
    return Run(run.folder)


def fails_with(kind: type, action, *words: object) -> None:
    with pytest.raises(kind) as error:
        action()
    assert "\n" not in str(error.value)
    for word in words:
        assert str(word) in str(error.value)


def test_a_run_finds_itself_and_the_runs_it_was_trained_on(chain):
    vae, diffusion, projector = chain
    assert projector.ancestor("projector") == projector
    assert projector.ancestor("diffusion").folder == diffusion.folder
    assert projector.ancestor("vae").folder == vae.folder
    assert projector.has_ancestor("vae")
    assert projector.has_ancestor("projector")
    assert not vae.has_ancestor("projector")


def test_runs_may_move_together(chain, tmp_path):
    shutil.copytree(tmp_path, tmp_path.parent / "elsewhere" / "runs")
    moved = tmp_path.parent / "elsewhere" / "runs"
    shutil.rmtree(tmp_path / "a")
    assert Run(moved / "c").ancestor("vae").folder == (moved / "a" / "vae").resolve()


def test_the_second_of_two_parents_is_found(tmp_path):
    vae, judge = make_run(tmp_path / "vae", "vae"), make_run(tmp_path / "judge", "evaluator")
    run = make_run(tmp_path / "run", "diffusion", {"evaluator": judge, "vae": vae})
    assert run.ancestor("vae").folder == vae.folder
    assert run.ancestor("evaluator").folder == judge.folder


@pytest.mark.parametrize("changed", [0, 1])
def test_weights_that_changed_below_a_run_are_noticed(chain, changed):
    run = chain[changed]
    run.save_part(run.trained_part, {"mean": torch.zeros(2), "std": torch.ones(2)})
    fails_with(
        WorkError, lambda: fresh(chain[2]).ancestor("vae"), run.folder, chain[changed + 1].folder
    )


def test_the_same_weights_written_again_are_no_change(chain):
    for _ in range(20):
        chain[0].save_part(
            "vae", {"mean": torch.tensor([1.0, 2.0]), "std": torch.tensor([3.0, 4.0])}
        )
        assert chain[2].ancestor("vae").folder == chain[0].folder


def point(run: Run, **parents: Run) -> None:
    """Let a run stand on others, whatever they stand on."""
    run.update(parents={name: other.as_parent(run.folder) for name, other in parents.items()})


@pytest.mark.parametrize("length", [1, 2, 3, 50])
@pytest.mark.parametrize("stage", ["vae", "diffusion", "projector", "distill"])
def test_runs_in_a_circle_end_in_one_line(tmp_path, length, stage):
    runs = [make_run(tmp_path / str(number), "projector") for number in range(length)]
    for number, run in enumerate(runs):
        point(run, projector=runs[(number + 1) % length])
    if stage == "projector":
        assert fresh(runs[0]).ancestor(stage).folder == runs[0].folder
        return
    assert not fresh(runs[0]).has_ancestor(stage)
    fails_with(RequestError, lambda: fresh(runs[0]).ancestor(stage), f"without a {stage}")


def test_a_circle_beside_the_run_that_is_looked_for_is_told(tmp_path):
    vae, run = make_run(tmp_path / "vae", "vae"), make_run(tmp_path / "run", "diffusion")
    point(run, diffusion=run, vae=vae)
    assert fresh(run).has_ancestor("vae")
    fails_with(WorkError, lambda: fresh(run).ancestor("vae"), run.folder, "circle")


def test_a_long_line_of_runs_is_followed_so_far_and_no_farther(tmp_path):
    run = make_run(tmp_path / "vae", "vae")
    for number in range(GENERATIONS - 1):
        run = make_run(tmp_path / str(number), "distill", {run.stage: run})
    assert run.ancestor("vae").folder == tmp_path / "vae"
    for number in range(1000, 1005):
        run = make_run(tmp_path / str(number), "distill", {run.stage: run})
    assert not run.has_ancestor("vae")
    fails_with(RequestError, lambda: run.ancestor("vae"), "vae=RUN")


@pytest.mark.parametrize(
    "path",
    ["../nowhere", "x" * 900, "/".join("x" * 90 for _ in range(10)), "../" * 300, "loop", "pipe"],
    ids=lambda path: path[:12],
)
def test_a_path_that_leads_nowhere_is_a_run_that_is_gone(chain, path):
    (chain[2].folder / "loop").symlink_to("loop")
    (chain[2].folder / "pipe").mkdir()
    os.mkfifo(chain[2].folder / "pipe" / "run.json")
    chain[2].update(parents={"diffusion": {"path": path, "hash": "0" * 64}})
    assert not fresh(chain[2]).has_ancestor("vae")
    fails_with(RequestError, lambda: fresh(chain[2]).ancestor("vae"), "which is gone")


def test_a_missing_earlier_run_is_named(chain):
    shutil.rmtree(chain[0].folder)
    fails_with(
        RequestError, lambda: fresh(chain[1]).ancestor("vae"), chain[0].folder, "gone", "vae=RUN"
    )


def test_a_stage_that_is_not_in_the_chain_is_asked_for(chain):
    fails_with(
        RequestError, lambda: chain[0].ancestor("diffusion"), chain[0].folder, "diffusion=RUN"
    )


def test_a_run_without_weights_cannot_be_built_upon(tmp_path):
    run = make_run(tmp_path / "young", "vae")
    run.weights_path("vae").unlink()
    fails_with(RequestError, lambda: run.as_parent(tmp_path), run.folder, "vae", "resume=true")
    fails_with(RequestError, lambda: run.load_part("vae"), run.folder, "no weights of its vae")


def test_a_part_comes_back_with_its_weights(chain):
    part = chain[1].load_part("denoiser")
    assert part.mean.tolist() == [1.0, 2.0]
    assert part.std.tolist() == [3.0, 4.0]
    assert chain[1].build_part("denoiser", mean=[9.0, 9.0]).mean.tolist() == [9.0, 9.0]
    assert chain[1].options("denoiser") == {"mean": [0.0, 0.0], "std": [1.0, 1.0]}


def test_a_part_of_another_size_is_refused(chain):
    wider = {**NORMALIZER, "mean": [0.0] * 3, "std": [1.0] * 3}
    chain[0].update(parts={"vae": wider})
    fails_with(
        WorkError,
        lambda: chain[0].load_part("vae"),
        *(chain[0].folder, "vae", "mean is (2,), expected (3,)"),
    )


def test_an_unknown_part_gets_a_suggestion(chain):
    fails_with(RequestError, lambda: chain[1].load_part("denoizer"), chain[1].folder, "'denoiser'?")


def test_updates_keep_the_other_fields_and_are_seen_at_once(chain):
    run = chain[0]
    assert run.stage == "vae"
    run.update(status="finished", step=7)
    assert (run.record.status, run.record.step, run.stage) == ("finished", 7, "vae")
    assert read_json(run.folder / "run.json") == run.contents


def test_a_folder_that_is_no_run_is_named(tmp_path):
    assert not Run(tmp_path).exists()
    fails_with(RequestError, lambda: Run(tmp_path).stage, tmp_path, "not a run directory")


def test_a_run_of_another_layout_is_refused(chain):
    chain[0].update(schema=SCHEMA_VERSION + 1)
    fails_with(
        RequestError, lambda: chain[0].stage, chain[0].folder, f"layout {SCHEMA_VERSION + 1}"
    )


@pytest.mark.parametrize("field", ["stage", "parts", "dataset"])
def test_a_record_that_lacks_a_field_is_named(chain, field):
    path = chain[0].folder / "run.json"
    write_json(path, {key: value for key, value in read_json(path).items() if key != field})
    fails_with(WorkError, lambda: fresh(chain[0]).stage, path, f"it has no '{field}'")


def test_a_record_that_is_no_json_is_named(chain):
    (chain[0].folder / "run.json").write_text('{"schema": 1, "sta')
    fails_with(WorkError, lambda: fresh(chain[0]).stage, chain[0].folder / "run.json")


def test_filling_changes_every_weight():
    source, target = nn.Linear(3, 2), nn.Linear(3, 2)
    fill(target, source.state_dict(), "here")
    assert torch.equal(source.weight, target.weight)
    assert torch.equal(source.bias, target.bias)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_name_their_file(chain, value):
    chain[0].save_part("vae", {"mean": torch.tensor([1.0, value]), "std": torch.ones(2)})
    path = chain[0].weights_path("vae")
    fails_with(WorkError, lambda: chain[0].load_part("vae"), path, "mean", "not finite")
    fails_with(WorkError, lambda: chain[0].tensors("vae"), path)


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"weight": torch.zeros(2, 3)}, ("1 tensors", "missing bias")),
        (
            {"weight": torch.zeros(2, 3), "bias": torch.zeros(2), "extra": torch.zeros(1)},
            ("1 tensors", "unexpected extra"),
        ),
        (
            {"weight": torch.zeros(3, 2), "bias": torch.zeros(2)},
            ("1 tensors", "weight is (3, 2), expected (2, 3)"),
        ),
        ({f"x{i}": torch.zeros(1) for i in range(10)}, ("12 tensors", "missing bias")),
        (
            {"weight": torch.zeros(2, 3, dtype=torch.int8), "bias": torch.zeros(2)},
            ("1 tensors", "weight is torch.int8, expected torch.float32"),
        ),
        (
            {"weight": torch.zeros(2, 3, dtype=torch.complex64), "bias": torch.zeros(2)},
            ("1 tensors", "weight is torch.complex64"),
        ),
    ],
    ids=["missing", "unexpected", "misshapen", "all", "whole", "complex"],
)
def test_tensors_that_do_not_fit_are_listed_and_nothing_is_loaded(tensors, words):
    module = nn.Linear(3, 2)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    fails_with(WorkError, lambda: fill(module, tensors, "some/run (vae)"), "some/run (vae)", *words)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
