"""`lead bench`: its two sides compute the same, its counts are right, its record is whole."""

import importlib.util
import json
import math

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lead.bench import SUBJECTS, counts, generate
from lead.bench.machine import Machine
from lead.bench.models import embeddings, paper_models
from lead.bench.plain_features import plain_features
from lead.bench.prepare import _ManyClips, files_opened
from lead.bench.record import Row, format_rows
from lead.bench.setting import Setting
from lead.bench.timing import alternate, median
from lead.cli.main import main
from lead.cli.stopwatch import Stopwatch
from lead.core.masks import lengths_to_mask
from lead.data.clips import ClipDataset, pad_clips
from lead.data.cmu_open import read_index, read_joints
from lead.data.packed import open_dataset
from lead.data.packing import pack
from lead.models.denoiser import MldDenoiser
from lead.representation import get_skeleton, joints_to_features

CPU = Setting(1, torch.device("cpu"), 1, "fp32", 3, "wall")
MACHINE = Machine("a machine", "2", {"fp32": 1e9, "bf16": 2e9}, 1e8)


@pytest.fixture(scope="module")
def models():
    return paper_models(CPU)


@torch.no_grad()
def test_plain_networks_are_ours(models):
    ours, plain = models
    x, mask = torch.randn(2, 12, 263), lengths_to_mask(torch.tensor([12, 7]))
    for got, wanted in zip(plain.vae.encode(x, mask), ours.vae.encode(x, mask), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)
    z, text, steps = torch.randn(2, 1, 256), torch.randn(2, 1, 768), torch.tensor([981, 3])
    decoded = plain.vae.decode(z, mask)
    torch.testing.assert_close(decoded, ours.vae.decode(z, mask), rtol=1e-4, atol=1e-4)
    noise = plain.denoiser(z, steps, text)
    torch.testing.assert_close(noise, ours.denoiser(z, steps, text), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(plain.projector(z), ours.projector(z), rtol=1e-4, atol=1e-4)


def test_both_sides_of_generation_make_the_same_joints(models, monkeypatch):
    few = generate.sampling(False).__class__(steps=2)
    monkeypatch.setattr(generate, "sampling", lambda distilled: few)
    own = type(models[1]).generate
    monkeypatch.setattr(
        type(models[1]), "generate", lambda self, *inputs: own(self, *inputs, steps=2)
    )
    job = generate.Job(embeddings(CPU, 2), [16, 16])
    got = generate.joints_of(models[0].prepared(), job)
    wanted = generate.plain_joints(models[1], job)
    assert got.shape == (2, 16, 22, 3)
    assert (got - wanted).abs().max() < 1e-4 * wanted.abs().max()


@torch.no_grad()
def test_operations_are_counted_as_torch_counts_them(models, monkeypatch):
    monkeypatch.setattr("torch.backends.mha._is_fastpath_enabled", False)  # which is not counted
    plain = models[1]
    frames, mask = 16, torch.ones(1, 16, dtype=torch.bool)
    z, text = torch.randn(1, 1, 256), torch.randn(1, 1, 768)
    works = {
        counts.decoder(frames): lambda: plain.vae.decode(z, mask),
        counts.encoder(frames): lambda: plain.vae.encode(torch.randn(1, frames, 263), mask),
        counts.denoiser_step(): lambda: plain.denoiser(z, torch.tensor([3]), text),
        2 * counts.projector(): lambda: plain.projector(z),
    }
    for counted, work in works.items():
        counter = FlopCounterMode(display=False)
        with counter:
            work()
        # The plain code does more: time and text tokens, attention to one token.
        assert 0.6 * counter.get_total_flops() < counted <= 1.01 * counter.get_total_flops()


@pytest.mark.parametrize("place", [0, 300])
def test_plain_features_are_ours(place):
    ((_, joints),) = read_joints({read_index()[place].id})
    got = plain_features(joints, get_skeleton("humanml3d"))
    np.testing.assert_allclose(got, joints_to_features(joints), atol=1e-4)


def test_a_floor_is_the_slower_of_operations_and_bytes():
    assert MACHINE.floor(3e9, 1e8, "fp32") == 3
    assert MACHINE.floor(3e9, 1e8, "bf16") == 1.5
    assert MACHINE.floor(3e9, 1e9, "bf16") == 10


def test_works_are_timed_in_turns():
    order = []
    works = {name: lambda name=name: order.append(name) for name in "ab"}
    seconds = alternate(works, Setting(3, torch.device("cpu"), 1, "fp32", 0, "cpu"))
    assert order == list("abababab")  # once to warm up
    assert [len(own) for own in seconds.values()] == [3, 3]
    assert median([3.0, 1.0, 2.0]) == 2.0


def test_opened_files_are_counted(tmp_path):
    (tmp_path / "a").write_text("x")
    assert files_opened(lambda: (tmp_path / "a").read_text() + (tmp_path / "a").read_text()) == 2
    assert files_opened(lambda: None) == 0


def test_a_batch_opens_no_file(tmp_path):
    pack(_ManyClips(8), tmp_path / "many", workers=1)
    data = ClipDataset(open_dataset(tmp_path / "many"), "train")
    assert files_opened(lambda: pad_clips([data[0, place] for place in range(8)])) == 0


ROWS = [
    Row("one", 4, "clips", 2.0, 6.0, 0.5, [2.0], [6.0], "none", "all alike"),
    Row("two", 1, "starts", 0.25, None, None),
]


def test_the_table_has_rates_and_ratios():
    head, first, second, remark = format_rows(ROWS).splitlines()
    assert head.split() == ["seconds", "rate", "floor", "plain", "ratio", "difference"]
    assert first.split() == ["one", "2", "2", "clips/s", "4.0x", "6", "3.0x", "none"]
    assert second.split() == ["two", "0.25", "4", "starts/s"]
    assert remark == "one: all alike"


@pytest.fixture
def measured(monkeypatch):
    monkeypatch.setattr("lead.bench.machine.measure_machine", lambda setting: MACHINE)
    monkeypatch.setattr(generate, "measure", lambda setting, machine, config: ROWS)


def test_the_record_is_json_with_everything(measured, tmp_path, capsys):
    file = tmp_path / "bench" / "generate.json"
    words = ["repeats=2", "precision=fp32", "seed=5", f"output={file}"]
    assert main(["bench", "generate", *words]) == 0
    out = capsys.readouterr().out
    assert "a machine; torch 2; fp32 1 GFLOP/s" in out and "3.0x" in out
    record = json.loads(file.read_text())
    assert (record["schema"], record["subject"]) == (1, "generate")
    assert record["setting"] == {
        **{"repeats": 2, "device": "cpu", "threads": torch.get_num_threads()},
        **{"precision": "fp32", "seed": 5, "clock": "wall"},
    }
    assert record["machine"]["flops"] == MACHINE.flops
    first, second = record["rows"]
    assert math.isclose(first["ratio"], 3) and math.isclose(first["of_floor"], 4)
    assert (first["ours_all"], first["plain_all"]) == ([2.0], [6.0])
    assert (second["ratio"], second["of_floor"], second["plain"]) == (None, None, None)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "bench measures one subject"),
        (["generate", "train"], "bench measures one subject"),
        (["generat"], "did you mean 'generate'"),
        (["generate", "repeats=0"], "repeats takes a whole number from 1"),
        (["generate", "frames=401"], "frames takes a whole number from 4 to 400, got 401"),
        (["generate", "clock=sun"], "unknown clock 'sun'"),
        (["generate", "plot=x.png"], "plot= draws the cost of `lead bench linear`"),
        (["linear", "plot=x.jpg"], "name it FILE.png"),
        (["generate", "precision=fp8"], "unknown precision 'fp8'"),
        (["generate", "output=."], "is a folder"),
    ],
)
def test_wrong_requests_are_one_line(measured, capsys, words, says):
    assert main(["bench", *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and says in err and err.count("\n") == 1


def test_a_distilled_run_is_timed_beside_its_teacher(world, capsys, monkeypatch):
    student = world.here / "student"
    assert main(world.train("distill", run=student)) == 0
    monkeypatch.setattr("lead.bench.machine.measure_machine", lambda setting: MACHINE)
    calls: list[int] = []
    forward = MldDenoiser.forward

    def counted(self, *inputs, **options):
        calls.append(len(inputs[0]))
        return forward(self, *inputs, **options)

    monkeypatch.setattr(MldDenoiser, "forward", counted)
    file = world.here / "bench.json"
    words = [f"run={world.run('projector')}", f"student={student}", "repeats=1", "device=cpu"]
    capsys.readouterr()
    assert main(["bench", "distilled", *words, f"output={file}"]) == 0
    names = [row["name"].split(",")[0] for row in json.loads(file.read_text())["rows"]]
    assert names == 2 * ["text to joints", "sampling alone"]
    # each is warmed up: two rows, twice 50 guided steps and twice one step, as trained modules
    assert (calls.count(2), calls.count(1)) == (200, 4)
    assert "for 50 steps, trained modules" in capsys.readouterr().out


def test_what_is_no_student_is_one_line(world, refused):
    teacher, bench = world.run("diffusion"), ["bench", "distilled", "device=cpu"]
    said = refused([*bench, "run=nowhere", f"student={teacher}"])
    assert "nowhere is not a run directory" in said
    assert "student=nowhere is no run" in refused([*bench, f"run={teacher}", "student=nowhere"])
    said = refused([*bench, f"run={teacher}", f"student={teacher}"])
    assert "is not distilled" in said


def test_every_subject_has_its_module():
    assert all(importlib.util.find_spec(module) for module in SUBJECTS.values())


def test_a_stopwatch_adds_up_what_has_one_name(monkeypatch):
    moments = iter([0.0, 1.0, 3.0, 6.0])
    monkeypatch.setattr("lead.cli.stopwatch.time.perf_counter", lambda: next(moments))
    watch = Stopwatch()
    for name in ("load", "write", "load"):
        watch.lap(name)
    assert watch.seconds == {"load": 4.0, "write": 2.0}
    total, load, write = watch.breakdown().splitlines()
    assert total == "6.000 s in all"
    assert load.split() == ["load", "4.000", "s", "67", "%"] and write.split()[-2] == "33"
