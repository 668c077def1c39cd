"""`lead bench flow`: both sides compute the same, operations are counted, every row is there."""

import json

import numpy as np
import pytest
import torch

from lead.bench import flow as bench
from lead.bench.flow_models import FlowSize, flow_data, flow_input, flow_model, middle_batch
from lead.bench.machine import Machine, instruction_sets
from lead.bench.setting import BenchOptions, Setting
from lead.cli.config import compose
from lead.cli.main import main

CPU = Setting(1, torch.device("cpu"), 1, "fp32", 3, "cpu")
MACHINE = Machine("a machine", "2", {"fp32": 1e9}, 1e8, "avx2")
FLOW = {"_target_": "flow_transformer", "width": 16, "layers": 2, "heads": 2, "local_every": 1}
JOINTS = FlowSize(
    "joints",
    {**FLOW, "patch": 11, "memory_slots": 3, "sink_threshold": 0.2},
    {"_target_": "joint_autoencoder", "width": 8, "depth": 1, "dropout": 0.0},
    batch=2,
)
TIMED = FlowSize(
    "timed",
    {**FLOW, "local_every": 2, "text_scale": 3.0, "word_scale": 0.5},
    {"_target_": "timed_vae", "latent_dim": 6, "width": 16, "layers": 1, "heads": 2},
    batch=2,
)


@pytest.fixture(scope="module", params=[JOINTS, TIMED], ids=lambda size: size.name)
def models(request):
    return flow_model(request.param, 0)


def test_the_plain_flow_is_ours(models):
    model, plain = models
    given = flow_input(model, [40, 24, 9], 1)
    assert bench.velocity(model, given).abs().max() > 1e-3
    got, wanted = bench.velocity(model, given), bench.plain_velocity(plain, given)
    real = given.mask[..., None, None]
    torch.testing.assert_close(got, wanted * real, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        early = torch.full((3,), 0.1)  # before the start token is masked
        both = [given.text, given.mask, given.word_mask]
        got = model.flow(given.z, early, *both)
        wanted = plain(given.z, early, *both, torch.ones(3, dtype=torch.bool))
    torch.testing.assert_close(got * real, wanted * real, rtol=1e-4, atol=1e-5)


def test_both_sides_make_the_same_joints(models, monkeypatch):
    model, plain = models
    given = flow_input(model, [24, 24], 1)
    drawn = []
    sampled = bench.FlowModel.sample

    def heard(self, *inputs, **options):
        with self.heard(lambda: drawn.append(1)):
            return sampled(self, *inputs, **options)

    monkeypatch.setattr(bench.FlowModel, "sample", heard)
    got = bench.joints_of(model, given)
    assert len(drawn) == bench.STEPS
    texts = [f"sentence {row}" for row in range(2)]
    noise = [bench_noise(model, text, seed) for seed, text in enumerate(texts)]
    wanted = bench.plain_joints(model, plain, given, torch.stack(noise))
    assert got.shape == (2, 24, 22, 3)
    # the empty sentence has two words here: with all text gone both sides read the same
    assert (got - wanted).abs().max() < 1e-3 * wanted.abs().max()


def bench_noise(model, text: str, seed: int) -> torch.Tensor:
    from lead.core.seeding import make_generator

    shape = (model.coder.token_count(24), *model.coder.latent_frame[1:])
    return torch.randn(shape, generator=make_generator(seed, "latent", text))


def test_products_are_counted():
    a, b = torch.ones(3, 5), torch.ones(5, 7)
    assert bench.operations(lambda: a @ b) == 2 * 3 * 5 * 7


def test_a_batch_of_the_made_data_is_one_of_training(models):
    model, _ = models
    data = flow_data(model, np.array([40, 60, 80, 44]), 0)
    batch = middle_batch(data, 2)
    assert batch.mu.shape[0] == 2 and batch.mask.sum(1).tolist() == [15, 20]
    assert batch.text.shape == (2, 21, 512) and batch.word_mask.all()


def test_every_row_is_there_with_its_floor(monkeypatch):
    values = compose("bench", ["frames=8", "repeats=1"]) | {"subject": "flow"}
    options = BenchOptions(**values, flows=[TIMED])
    monkeypatch.setattr(bench, "clip_text_model", lambda width: width)
    monkeypatch.setattr(bench, "embed_sentences", lambda *_: None)
    monkeypatch.setattr(bench, "CLIPS", 12)
    rows = bench.measure(CPU, MACHINE, options)
    assert [row.name.split(", ", 1)[1] for row in rows] == [
        *("velocity, batch 1, fp32", "motion, 16 steps, batch 1, fp32"),
        *("velocity, batch 32, fp32", "motion, 16 steps, batch 32, fp32"),
        "training step, batch 2, fp32",
    ]
    assert all(row.plain > 0 and row.ours > 0 and row.floor > 0 for row in rows)
    assert rows[2].floor >= rows[0].floor and rows[1].floor >= 16 * rows[0].floor


def test_sizes_are_those_of_the_configs(monkeypatch, tmp_path, capsys):
    seen = []
    monkeypatch.setattr("lead.bench.machine.measure_machine", lambda setting: MACHINE)
    monkeypatch.setattr(
        bench, "measure", lambda setting, machine, options: seen.append(options) or []
    )
    file = tmp_path / "flow.json"
    assert main(["bench", "flow", "device=cpu", f"output={file}"]) == 0
    assert "a machine; avx2; torch 2" in capsys.readouterr().out
    assert json.loads(file.read_text())["machine"]["instructions"] == "avx2"
    small, paper = seen[0].flows
    assert (small.coder["_target_"], small.flow["width"]) == ("timed_vae", 192)
    assert (paper.flow["width"], paper.flow["layers"], paper.flow["heads"]) == (512, 8, 8)
    assert main(["bench", "flow", "sizes=[huge]"]) == 2


@pytest.mark.parametrize(
    ("facts", "limit", "ends"),
    [
        ("flags : fpu avx2 avx512_bf16 amx_bf16", None, ", avx512_bf16, amx_bf16"),
        ("flags : fpu avx2 avx512_bf16", "AVX2", ", avx512_bf16, oneDNN up to AVX2"),
    ],
)
def test_the_machine_says_its_instruction_sets(facts, limit, ends, monkeypatch, tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text(facts)
    monkeypatch.setattr("lead.bench.machine.CPU_FACTS", file)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    if limit:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    kernels = torch.backends.cpu.get_cpu_capability().lower()
    assert instruction_sets(torch.device("cpu")) == kernels + ends
    assert instruction_sets(torch.device("cuda")) == ""
