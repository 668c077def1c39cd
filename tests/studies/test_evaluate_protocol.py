"""`lead evaluate` with a protocol: rows, record, and the same table again."""

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from lead.cli.config import compose
from lead.cli.loading import request
from lead.cli.main import main
from lead.core.files import write_tensors
from lead.core.reading import read_tensors
from lead.core.runs import Run
from lead.data.packed import open_dataset
from lead.generation.lead_model import LeadModel
from lead.representation.features import with_constant_bones
from lead.studies.benchmark import protocol as evaluate_protocol
from lead.studies.benchmark.rows import DrawnLatents, load_rows
from lead.studies.request import EvaluateRequest

SMALL = {
    "pool_size": 4,
    "replications": 2,
    "multimodality_texts": 2,
    "multimodality_repeats": 3,
    "multimodality_pairs": 2,
}


class PlainJudge:
    """A motion lies at the mean of its local positions, a sentence at its count of letters."""

    name, fingerprint, dim = "plain", "0123456789abcdef", 6

    def embed_motions(self, features) -> np.ndarray:
        return np.array([clip[:, 4:10].mean(axis=0) for clip in features], dtype=np.float32)

    def embed_texts(self, captions, tokens=None) -> np.ndarray:
        return np.array([[text.count(c) for c in "aeinot"] for text in captions], np.float32)


@pytest.fixture
def judge(monkeypatch) -> None:
    monkeypatch.setattr(evaluate_protocol, "load_judge", lambda *_: PlainJudge())


def words(w, run: str | Path = "projector", **options: object) -> list[str]:
    named = run if isinstance(run, Path) else w.run(run)
    given = {"run": named, "dataset": w.data, "output": w.here / "table.json", "device": "cpu"}
    given |= {"split": "train", "evaluator": w.here, "protocol": "open", "sampling.steps": 2}
    given |= {f"protocol.{key}": value for key, value in SMALL.items()} | options
    return ["evaluate", *(f"{key}={value}" for key, value in given.items())]


def table(w, capfd, **options: object) -> tuple[dict, str]:
    given = words(w, **options)  # trains the chain where nobody has yet
    capfd.readouterr()
    assert main(given) == 0
    return json.loads((w.here / "table.json").read_text()), capfd.readouterr().out


def test_the_table_and_its_record(world, judge, capfd):
    record, out = table(world, capfd)
    lines = out.splitlines()
    assert lines[0] == record["headline"]
    assert lines[0].startswith("judge plain (0123456789ab): cmu_open is no data set of protocol")
    names = ["Real", "VAE reconstruction", "VAE + projector reconstruction"]
    names += ["generated (MLD)", "generated (LEAD)"]
    assert [*record["rows"]] == names
    for name in names:
        assert sum(line.startswith(f"| {name} ") for line in lines) == 2  # protocol and physical
        assert {"fid", "r_precision_3", "diversity", "jitter"} <= set(record["rows"][name])
        assert len(record["replications"][name]["fid"]) == 2
    assert record["rows"]["Real"]["fid"]["mean"] == pytest.approx(0, abs=1e-9)
    assert "mpjpe" in record["rows"]["VAE reconstruction"]
    assert "multimodality" in record["rows"]["generated (LEAD)"]
    assert record["evaluator"] == {
        "path": str(world.here),
        "name": "plain",
        "fingerprint": "0123456789abcdef",
    }
    assert record["protocol"]["pool_size"] == 4 and record["split"] == "train"
    assert len(record["seeds"]) == 2 and record["environment"]["libraries"]["torch"]
    assert record["data_hash"] == open_dataset(world.data).data_hash
    assert record["rows"]["generated (MLD)"]["fid"] != record["rows"]["generated (LEAD)"]["fid"]


def test_the_same_table_again_and_nearly_so_in_other_batches(world, judge, capfd):
    first, _ = table(world, capfd)
    again, _ = table(world, capfd)
    other, _ = table(world, capfd, batch_size=3)
    assert again == first
    for name, row in first["replications"].items():
        for key, values in row.items():
            np.testing.assert_allclose(
                other["replications"][name][key], values, rtol=1e-3, atol=1e-5
            )


def test_a_vae_run_has_no_generated_rows(world, judge, capfd):
    record, out = table(world, capfd, run="vae")
    assert [*record["rows"]] == ["Real", "VAE reconstruction"]
    assert "MultiModality" not in out


def test_a_judge_alone_measures_real_clips_by_group(world, capfd):
    """The Real row of all clips is that of any other run; the groups are those of the labels."""
    judge = world.here / "judge"
    options = {"model/evaluator": "open", "text_encoder": "hash", "run": judge}
    assert main(world.train("evaluator", **options)) == 0
    record, out = table(world, capfd, run=judge, evaluator="null")
    split = open_dataset(world.data).split("train")
    counts = Counter(f"captions {labels['captions']}" for labels in split.labels)
    wanted = {"Real": len(split)} | {k: n for k, n in sorted(counts.items()) if n >= 4}
    assert [name.partition(" (")[0] for name in record["rows"]] == [*wanted]
    for name, clips in zip(record["rows"], wanted.values(), strict=True):
        assert f"({clips} clips, {clips // 4} pool" in name
        assert any(line.startswith(f"| {name} ") for line in out.splitlines())
    assert "captions of test clips: 0 left out of the judge's training; 0 lines" in out
    other, _ = table(world, capfd, run="vae", evaluator=judge)
    whole = next(iter(record["rows"].values()))
    for measure in ("r_precision_3", "multimodal_distance", "diversity", "jitter"):
        assert whole[measure] == other["rows"]["Real"][measure]
    assert whole["half_fid"] == other["half_fid"]


def test_controls_and_more_projectors_are_rows(world, judge, capfd):
    other = world.copy_run("projector")
    path = Run(other).weights_path("projector")
    write_tensors(path, {name: 2 * value for name, value in read_tensors(path).items()})
    other = shutil.move(other, other.with_name("doubled"))
    record, _ = table(
        world, capfd, projectors=f"[{other}]", controls="[guidance1,moments]", clips=8
    )
    names = [*record["rows"]]
    assert names[3:] == ["VAE + doubled reconstruction"] + [
        f"generated ({name})"
        for name in ("MLD", "LEAD", "doubled", "MLD, guidance 1", "MLD, moments matched")
    ]
    assert len({record["rows"][name]["diversity"]["mean"] for name in names[4:]}) == 5
    assert record["controls"]["guidance1"]["sampling"] == {"guidance_scale": 1.0}
    assert record["projectors"] == {str(other): Run(other).weights_hash("projector")}
    assert "8 clips, a part of the split" in record["headline"]


def test_without_a_protocol_the_measures_are_physical(world, capfd):
    options = {"run": world.run("projector"), "dataset": world.data, "output": "table.json"}
    given = {**options, "device": "cpu", "split": "train", "sampling.steps": 2, "clips": 3}
    assert main(["evaluate", *(f"{key}={value}" for key, value in given.items())]) == 0
    record = json.loads((world.here / "table.json").read_text())
    assert record["clips"] == 3 and record["rows"]["real"]["jitter"]["count"] == 3
    assert "fid" not in record["rows"]["generated (LEAD)"]


# Rows


@pytest.fixture
def rows(world):
    """Callables of the rows, with the arguments that load them."""
    dataset, named = open_dataset(world.data), Run(world.run("projector"))
    config = compose("evaluate", [f"run={named.folder}", "device=cpu", "sampling.steps=2"])

    def load(**options):
        asked = request(
            EvaluateRequest, config | {"batch_size": 4} | options, split="test", kept={}
        )
        return load_rows(named, dataset, asked)

    return load


TEXTS = ["a person walks", "someone kicks", "a person jumps", "a figure waves", "one turns"]


def test_rows_start_from_the_same_latents_drawn_once(rows, monkeypatch):
    drawn = []
    sample = LeadModel.sample

    def counted(self, texts, frames, seeds, sampling, **options):
        drawn.append((len(texts), sampling.guidance_scale))
        return sample(self, texts, frames, seeds, sampling, **options)

    monkeypatch.setattr(LeadModel, "sample", counted)
    for generate in rows(controls=["guidance2"]).generators.values():
        made = generate(TEXTS, [60, 48, 52, 56, 200], [1, 2, 3, 4, 5])
        assert [len(motion) for motion in made[:4]] == [60, 48, 52, 56]
        assert 60 < len(made[4]) < 200  # as long as the run can
    assert drawn == [(4, 7.5), (1, 7.5), (4, 2.0), (1, 2.0)]


@pytest.mark.parametrize("planted", [False, True])
def test_a_row_is_what_the_pipeline_generates(rows, world, planted):
    from lead.generation import Sampling, load_motion_model

    sampling = Sampling(steps=2, plant_feet=planted)
    pipeline = load_motion_model(Run(world.run("projector")))
    frames, seeds = [60, 48, 52, 56, 64], [5, 4, 3, 2, 1]
    for name, project in (("generated (MLD)", False), ("generated (LEAD)", True)):
        made = rows(sampling=sampling).generators[name](TEXTS, frames, seeds)
        expected = pipeline.generate(TEXTS, frames, seeds, sampling, project=project)
        for motion, other in zip(made, expected, strict=True):
            np.testing.assert_allclose(with_constant_bones(motion), other.features, atol=1e-3)


def test_a_reconstruction_keeps_lengths_and_order(rows, world):
    split = open_dataset(world.data).split("train")
    motions = [split.clip(place) for place in range(6)]
    rebuild = rows().reconstructions["VAE reconstruction"]
    together = rebuild(motions)
    for motion, rebuilt in zip(motions, together, strict=True):
        assert rebuilt.shape == motion.shape
        np.testing.assert_allclose(rebuild([motion])[0], rebuilt, atol=1e-3)


def test_matched_moments_are_those_of_the_training_latents(rows, world, monkeypatch):
    """Of the generated training latents themselves, exactly."""
    seen = {}
    draw = DrawnLatents.draw

    def watched(self, texts, frames, seeds, sampling):
        seen.setdefault("first", draw(self, texts, frames, seeds, sampling))
        return seen["first"]

    def kept(self, latents, lengths, sampling):
        seen["mapped"] = latents
        return []

    monkeypatch.setattr(DrawnLatents, "draw", watched)
    monkeypatch.setattr(DrawnLatents, "_decode", kept)
    loaded = rows(controls=["moments"])
    loaded.generators["generated (MLD, moments matched)"](TEXTS, [40] * 5, [1] * 5)
    run = Run(world.run("vae"))
    vae, split = run.load_part("vae").eval(), open_dataset(world.data).split("train")
    normalizer = open_dataset(world.data).normalizer
    with torch.no_grad():
        encoded = [
            vae.encode(
                normalizer.normalize(torch.tensor(split.clip(place)))[None],
                torch.ones(1, len(split.clip(place)), dtype=torch.bool),
            )
            for place in range(len(split))
        ]
    mu = torch.cat([mean for mean, _ in encoded])
    noise = torch.cat([variance.exp() for _, variance in encoded]).mean(dim=0)
    error = (noise / len(split)).sqrt()
    mapped = seen["mapped"]
    assert ((mapped.mean(dim=0) - mu.mean(dim=0)).abs() < 5 * error).all()
    expected = mu.var(dim=0) + noise
    assert 0.7 < (mapped.var(dim=0) / expected).mean() < 1.3
    assert (mapped - seen["first"]).abs().max() > 0.1


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"controls": "[guidance22]"}, "unknown control 'guidance22': did you mean 'guidance2'?"),
        ({"run": "vae", "controls": "[moments]"}, "is a vae run, which generates nothing"),
        ({"protocol.pool_size": 32}, "clips do not fill a pool of 32"),
        ({"protocol.crop": "some"}, "unknown 'some'"),
    ],
)
def test_what_cannot_be_judged_is_one_line(world, judge, refused, options, message):
    assert message in refused(words(world, **options))


def test_a_projector_row_needs_a_projector(world, judge, refused):
    line = refused(words(world, projectors=f"[{world.run('diffusion')}]"))
    assert "is a diffusion run, no projector" in line


@pytest.mark.parametrize("left_out", ["protocol", "evaluator"])
def test_a_protocol_and_a_judge_go_together(world, refused, left_out):
    given = [word for word in words(world) if not word.startswith(left_out)]
    assert "a protocol and its judge go together" in refused(given)


def test_a_judge_that_is_missing_is_one_line(world, refused):
    assert "nowhere" in refused(words(world, evaluator="nowhere"))


def test_pools_are_counted_in_words():
    told = evaluate_protocol.pools_told
    assert [told(clips // 32, 32) for clips in (40, 64)] == ["1 pool of 32", "2 pools of 32"]
