"""Starting from the weights of another run: its numbers first, then a training of one's own."""

import json
import shutil

import pytest
import torch

from lead.cli.train_request import train_request
from lead.core.files import write_json
from lead.core.runs import Run
from lead.data.contents import STAMPS
from lead.training.first_weights import difference
from lead.training.stages import train_stage

EARLIER = {
    **{"vae": (), "diffusion": ("vae",), "projector": ("diffusion",)},
    **{"autoencoder": (), "flow": ("autoencoder",)},
}


@pytest.mark.parametrize("stage", EARLIER)
def test_a_step_of_no_length_leaves_the_weights_of_the_run(
    train_chain, make_values, tmp_path, stage
):
    """With another learning rate, and an optimiser that has seen this one step alone."""
    chain = train_chain("trainer.precision=fp32")
    words = [f"{name}={chain[name]}" for name in EARLIER[stage]]
    words += [f"init={chain[stage]}", f"stages.{stage}.optimizer.lr=1e-12", "trainer.max_steps=1"]
    run = train_stage(train_request(make_values(stage, tmp_path / "run", *words)))
    trained = run.trained_part
    before, after = (Run(of).tensors(trained) for of in (chain[stage], run.folder))
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        torch.testing.assert_close(after[name], tensor, rtol=0, atol=1e-9)
    state = torch.load(run.state_path, weights_only=True)
    (optimizer,) = state["optimizer_states"]
    assert {int(of["step"]) for of in optimizer["state"].values()} == {1}
    assert run.contents["init"]["hash"] == Run(chain[stage]).weights_hash(trained)


def test_other_data_may_follow_and_a_stop_changes_nothing(
    train_chain, make_values, at_step, assert_same_run, monkeypatch, micro_dataset, tmp_path
):
    chain = train_chain("trainer.precision=fp32")
    data = tmp_path / "data"
    shutil.copytree(micro_dataset, data, ignore=shutil.ignore_patterns(STAMPS))
    manifest = json.loads((data / "manifest.json").read_text())
    write_json(data / "manifest.json", {**manifest, "data_hash": "0" * 64})
    values = {
        name: {**make_values("vae", tmp_path / name, f"init={chain['vae']}"), "dataset": str(data)}
        for name in ("whole", "stopped")
    }
    whole = train_stage(train_request(values["whole"]))
    assert whole.record.dataset.data_hash == "0" * 64

    def stop() -> None:
        raise KeyError("stopped")

    at_step(3, stop)
    with pytest.raises(KeyError):
        train_stage(train_request(values["stopped"]))
    monkeypatch.undo()
    train_stage(train_request({**values["stopped"], "resume": True}))
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, "a.c: 2 there, 3 now"),
        ({"a": {"b": 1}}, {"a": {}}, "a.b: 1 there, null now"),
        ({"a": None}, {"a": {"b": 1}}, "a: null there, an object of 1 now"),
        ({"a": [1, 2]}, {"a": [1, 2]}, ""),
        ({"a": 1e-3}, {"a": 1e-4}, "a: 0.001 there, 0.0001 now"),
    ],
)
def test_the_first_difference_is_told_with_its_whole_name(before, now, told):
    assert difference(before, now) == told
