"""A trainer state that is not whole, or another's: refused before the run is touched."""

import pickle
import shutil
from collections.abc import Callable, Iterator
from copy import copy
from pathlib import Path

import pytest
import torch

from lead.cli.train_request import train_request
from lead.core.errors import WorkError
from lead.core.runs import Run
from lead.training.stages import train_stage
from lead.training.trainer_state import check_content, check_state


class CaughtError(Exception):
    """Stands in for a training that reaches the check of its state."""


@pytest.fixture(scope="module")
def chain(train_chain) -> dict[str, Path]:
    return train_chain("trainer.precision=fp32")


@pytest.fixture(scope="module")
def interrupted(chain, tmp_path_factory) -> Run:
    """A run that was stopped; its state is broken by one test after the other."""
    run = Run(tmp_path_factory.mktemp("broken") / "vae")
    shutil.copytree(chain["vae"], run.folder)
    run.update(status="interrupted")
    return run


@pytest.fixture(scope="module")
def training(interrupted, make_values) -> tuple:
    """The module and the trainer that go on from the run."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(CaughtError) as caught:

        def catch(*given):
            raise CaughtError(given[1:])

        patch.setattr("lead.training.fit.check_state", catch)
        train_stage(train_request(make_values("vae", interrupted.folder, "resume=true")))
    return caught.value.args[0]


@pytest.fixture
def refused(training, tmp_path) -> Callable[[object], str]:
    """Check a state against the training: one line that names it."""

    def check(state: object) -> str:
        path = tmp_path / "trainer.ckpt"
        with pytest.raises(WorkError) as error:
            if isinstance(state, bytes):
                path.write_bytes(state)
                check_state(path, *training)
            else:
                check_content(state, path, *training)
        line = str(error.value)
        assert "\n" not in line and len(line) <= 300
        assert "trainer.ckpt" in line and "overwrite=true" in line
        return line

    return check


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def state(chain) -> dict:
    return torch.load(Run(chain["vae"]).state_path, weights_only=True)


def places(value: object, before: tuple = ()) -> Iterator[tuple]:
    """The way to everything in a state, entries of lists included."""
    if isinstance(value, (dict, list)):
        named = value.items() if isinstance(value, dict) else enumerate(value)
        for key, entry in named:
            yield (*before, key)
            yield from places(entry, (*before, key))


def changed(state: dict, place: tuple, change) -> dict:
    """A copy of the state, new along the way to what is changed."""
    inner = state = copy(state)
    *above, last = place
    for key in above:
        inner[key] = copy(inner[key])
        inner = inner[key]
    change(inner, last)
    return state


def delete(inner, key) -> None:
    del inner[key]


def to(value: object):
    def change(inner, key) -> None:
        inner[key] = value

    return change


NEEDED = ("global_step", "state_dict", "loops", "callbacks", "optimizer_states", "lr_schedulers")


@pytest.mark.parametrize("key", NEEDED)
def test_every_entry_is_needed(refused, state, key):
    for change in (delete, *map(to, (None, "text", 3.5, [], {}, -1, [[]], [{}], {"a": 1}))):
        refused(changed(state, (key,), change))


def test_the_counters_of_the_loops_are_those_that_lightning_reads(refused, state):
    found = 0
    for place in list(places(state["loops"]["fit_loop"])):
        if place[0] != "state_dict" and "val_loop" not in place[0]:
            for change in (delete, to("x"), to(-7)):
                refused(changed(state, ("loops", "fit_loop", *place), change))
            found += 1
    assert found > 20


def test_tensors_have_the_names_and_shapes_of_the_model(refused, state):
    name = next(iter(state["state_dict"]))
    whole = state["state_dict"][name]
    for place in (("state_dict", name), ("callbacks", "ExponentialAverage", name)):
        for change in (delete, *map(to, (None, 3, [1.0], whole[..., :-1], whole[None]))):
            refused(changed(state, place, change))
        refused(changed(state, (*place[:-1], "surplus"), to(torch.zeros(3))))


def test_the_optimiser_has_moments_of_its_parameters(refused, state):
    assert "empty" in refused(changed(state, ("optimizer_states", 0, "state"), to({})))
    moments = ("optimizer_states", 0, "state", 0)
    for key in ("step", "exp_avg", "exp_avg_sq"):
        for change in (delete, to(None), to(torch.zeros(7, 7))):
            refused(changed(state, (*moments, key), change))
    for place in (10_000, -1, "0"):
        refused(changed(state, (*moments[:-1], place), to({})))
    group = ("optimizer_states", 0, "param_groups", 0)
    for key in ("params", "betas", "eps", "weight_decay", "lr"):
        for change in (delete, to(None), to([0])):
            refused(changed(state, (*group, key), change))
    refused(changed(state, group[:-1], to([])))
    refused(changed(state, group[:-1], lambda inner, key: to(2 * inner[key])(inner, key)))


@pytest.mark.parametrize("key", ["last_epoch", "base_lrs", "lr_lambdas"])
def test_the_schedule_knows_where_it_stands(refused, state, key):
    for change in (delete, *map(to, (None, "x", -1, [], ["x"], [1, 2]))):
        refused(changed(state, ("lr_schedulers", 0, key), change))


@pytest.mark.parametrize("key", ["best", "best_step"])
def test_the_best_weights_so_far_are_remembered(refused, state, key):
    for change in (delete, *map(to, (None, "x", [1]))):
        refused(changed(state, ("callbacks", "RunSaver", key), change))


@pytest.mark.parametrize("other", ["diffusion", "projector"])
def test_another_training_s_state_is_none(refused, chain, other):
    refused(torch.load(Run(chain[other]).state_path, weights_only=True))


class Trap:
    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


def test_files_of_other_kinds(refused, state, chain, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = Run(chain["vae"]).state_path.read_bytes()
    for content in (b"", b"PK", whole[:-1], whole[: len(whole) // 2], whole[100:], b"\0" * 5000):
        refused(content)
    refused(pickle.dumps({**state, "x": Trap()}))
    for content in ([], {}, torch.zeros(3), "text", None, {"state_dict": {}}):
        refused(content)
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    "place",
    [("loops",), ("state_dict",), ("optimizer_states", 0, "state"), ("callbacks", "RunSaver")],
    ids=str,
)
def test_nothing_is_changed_by_a_run_that_cannot_go_on(interrupted, make_values, state, place):
    torch.save(changed(state, place, to({})), interrupted.state_path)
    before = contents(interrupted.folder)
    with pytest.raises(WorkError, match="overwrite=true"):
        train_stage(train_request(make_values("vae", interrupted.folder, "resume=true")))
    assert contents(interrupted.folder) == before
    assert Run(interrupted.folder).record.status == "interrupted"


def test_the_state_that_was_saved_is_taken(interrupted, make_values, training, state, tmp_path):
    """The counterpart of all of these: untouched, it goes on to the end."""
    own = Run(shutil.copytree(interrupted.folder, tmp_path / "vae"))
    torch.save(state, own.state_path)
    check_state(own.state_path, *training)
    run = train_stage(train_request(make_values("vae", own.folder, "resume=true")))
    assert run.record.status == "finished"
