"""MoTe's two trainings: contexts and losses written out, and the chain through the verbs."""

import csv
import json

import numpy as np
import pytest
import torch

from lead.bench.machine import Machine
from lead.cli.main import main
from lead.core.batches import LatentBatch
from lead.core.masks import lengths_to_mask
from lead.core.runs import Run
from lead.core.seeding import make_generator
from lead.diffusion.schedules import scaled_linear
from lead.export.motion_file import read_motion
from lead.generation import Sampling, load_motion_model
from lead.interop.hub import pack_run
from lead.models.joint_denoiser import CLEAN, JointDenoiser
from lead.models.sentence_pieces import padded
from lead.models.text_autoencoder import TextAutoencoder
from lead.representation.normalizer import Normalizer, load_normalizer
from lead.studies.benchmark.rewriting import compare
from lead.studies.meeting import RIDGE, ridge
from lead.training.captioner_stage import CaptionerOptions, CaptionerStage, ToldBatch
from lead.training.joint_diffusion_stage import (
    CONTEXTS,
    JointDiffusionOptions,
    JointDiffusionStage,
    Shares,
)
from lead.training.randomness import StepDraws

LENGTHS = torch.tensor([5, 3, 4, 2])


class Recorder(torch.nn.Module):
    """Says zero, and keeps what it was given."""

    def __init__(self, empty: str = "token"):
        super().__init__()
        self.empty, self.calls = empty, []

    def forward(self, motion, text, words, word_mask):  # noqa: ARG002
        self.calls.append((motion, text))
        return torch.zeros_like(motion.z_t), torch.zeros_like(text.z_t)


def batch() -> LatentBatch:
    torch.manual_seed(0)
    mask = lengths_to_mask(LENGTHS)
    z = torch.randn(4, 5, 6) * mask[..., None]
    words, real = torch.randn(4, 3, 12), torch.ones(4, 3, dtype=torch.bool)
    own = (z, torch.full_like(z, -torch.inf), words, words[:1], list("abcd"))
    return LatentBatch(*own, mask, real, real[:1], 7, torch.randn(4, 2, 4))


def stage(empty: str = "token", **options) -> JointDiffusionStage:
    return JointDiffusionStage(Recorder(empty), scaled_linear(), JointDiffusionOptions(**options))


@pytest.mark.parametrize("empty", ["token", "noise"])
@pytest.mark.parametrize("name", CONTEXTS)
def test_a_context_is_what_it_says(name, empty):
    made, given = stage(empty), batch()
    context = torch.full((4,), list(CONTEXTS).index(name))
    made._losses(given, context, StepDraws(make_generator(0)))
    ((motion, text),) = made.joint_denoiser.calls
    asked = {"joint": "nn", "motion_from_text": "nc", "text_from_motion": "cn"}
    asked |= {"motion_alone": "ne", "text_alone": "en"}
    for side, clean, what in ((motion, given.mu, "m"), (text, given.sentence, "t")):
        kind = asked[name][what == "t"]
        steps = side.timestep
        if kind == "n":
            assert side.given.all() and (steps >= 0).all() and len(set(steps.tolist())) > 1
            assert not torch.allclose(side.z_t, clean)
        elif kind == "c":
            assert side.given.all() and (steps == CLEAN).all()
            torch.testing.assert_close(side.z_t, clean)
        else:
            assert (steps == 999).all() and (side.given == (empty == "noise")).all()
            assert torch.corrcoef(torch.stack([side.z_t.flatten(), clean.flatten()]))[0, 1] < 0.6


def test_times_of_both_are_uniform_and_apart_from_one_another():
    made = stage()
    context = torch.zeros(4, dtype=torch.long)
    draws = StepDraws(make_generator(3))
    for _ in range(800):
        made._losses(batch(), context, draws)
    times = [
        torch.cat([call[side].timestep for call in made.joint_denoiser.calls]) for side in (0, 1)
    ]
    for of in times:
        counts = torch.histc(of.float(), bins=10, min=0, max=1000)
        assert ((counts - 320).abs() < 5 * 320**0.5).all(), counts
    assert abs(np.corrcoef(*times)[0, 1]) < 5 / len(times[0]) ** 0.5


def test_each_loss_is_a_mean_over_the_tokens_that_are_noised():
    """The network says zero: errors are the noise itself, drawn anew here."""
    made, given = stage(), batch()
    context = torch.tensor([list(CONTEXTS).index(n) for n in ("joint", "motion_from_text")] * 2)
    context[3] = list(CONTEXTS).index("text_alone")
    motion, text = made._losses(given, context, StepDraws(make_generator(0)))
    generator = make_generator(0)
    noise = torch.randn(4, 7, 6, generator=generator)
    of_text = torch.randn(4, 2, 4, generator=generator)
    wanted = np.mean(np.concatenate([noise[r, : LENGTHS[r]].flatten() ** 2 for r in (0, 1, 2)]))
    assert motion.item() == pytest.approx(float(wanted), rel=1e-4)
    assert text.item() == pytest.approx(of_text[[0, 2, 3]].square().mean().item(), rel=1e-4)


def test_contexts_are_drawn_by_their_shares():
    shares = {"joint": 0.0, "motion_from_text": 0.5, "text_from_motion": 0.3}
    shares |= {"motion_alone": 0.15, "text_alone": 0.05}
    edges = torch.tensor(Shares(**shares).in_order()).cumsum(0)[:-1]
    drawn = torch.rand(20_000, generator=make_generator(1))
    counts = torch.bincount(torch.bucketize(drawn, edges, right=True), minlength=5) / 20_000
    np.testing.assert_allclose(counts, [*shares.values()], atol=0.015)
    with pytest.raises(ValueError, match="sum to"):
        Shares(joint=0.5)


@pytest.fixture(scope="module")
def chain(tmp_path_factory, micro_words):
    """All trainings at a few steps; the sentences are those of the clips."""
    folder = tmp_path_factory.mktemp("mote")
    named = {
        **{"vae": folder / "vae", "text_autoencoder": folder / "ted"},
        **{"joint_diffusion": folder / "mote", "captioner": folder / "captioner"},
    }
    for stage_name, run in named.items():
        words = micro_words(stage_name, run)
        if stage_name == "vae":
            words += ["model/vae=timed", "model.vae.patch=4", "model.vae.latent_dim=8"]
        if stage_name == "joint_diffusion":
            words += [f"vae={named['vae']}", f"text_autoencoder={named['text_autoencoder']}"]
        if stage_name == "captioner":
            words += [f"joint_diffusion={named['joint_diffusion']}", "stage.module.steps=2"]
        assert main(["train", *words]) == 0, words
    return named


@pytest.fixture(scope="module")
def clip(chain):
    """A motion that the chain made of a sentence."""
    run = chain["joint_diffusion"]
    folder = run.parent / "clips"
    words = ["text=a person walks", "seconds=3", "formats=[npz]", "sheet=false", "device=cpu"]
    assert main(["generate", f"run={run}", "sampling.steps=2", *words, f"output={folder}"]) == 0
    return folder / "000.npz"


def test_the_chain_keeps_all_that_both_directions_need(chain, clip, capsys):
    run = Run(chain["joint_diffusion"])
    assert {*run.record.parents} == {"vae", "text_autoencoder"}
    tokens, dim = 2, 8
    load_normalizer(run, 8)
    load_normalizer(run, tokens * dim, "sentences")
    ways = [f"run={run.folder}", "sampling.steps=2", "device=cpu"]
    more = ["formats=[npz]", "sheet=false"]
    table = run.folder.parent / "captions.tsv"
    asked = ["caption", *ways, f"motions={clip}", "count=2", f"output={table}"]
    capsys.readouterr()
    assert main(asked) == 0
    said = capsys.readouterr().out
    rows = list(csv.DictReader(table.open(), delimiter="\t"))
    assert [row["seed"] for row in rows] == ["1", "2"]
    assert all(row["sentence"] in said and float(row["score"]) < 0 for row in rows)
    for number, words in enumerate(
        (["task=joint"], ["task=motion"], [f"like={clip}"], ["like_by=noise"])
    ):
        words = words if "like_by" not in words[0] else [*words, f"like={clip}"]
        output = run.folder.parent / f"free{number}"
        assert main(["generate", *ways, *more, *words, f"output={output}"]) == 0
        assert (output / "000.npz").is_file()


class Silent(JointDenoiser):
    """A diffusion that hears no noise in anything: DDIM then only scales what it is given."""

    def __init__(self):
        torch.nn.Module.__init__(self)
        self.empty = "token"

    def forward(self, motion, text):
        return torch.zeros_like(motion.z_t), torch.zeros_like(text.z_t)


def writing(**options) -> CaptionerStage:
    """A captioner on sentences of two latents of four numbers."""
    ted = TextAutoencoder(
        **{"text_dim": 12, "latent_tokens": 2, "latent_dim": 4, "width": 16, "layers": 1},
        **{"heads": 2, "vocabulary": 300, "longest": 12, "language_width": 16},
        **{"language_layers": 1, "language_heads": 2},
    )
    statistics = Normalizer(np.arange(8), np.linspace(0.5, 2, 8))
    asked = CaptionerOptions(**options)
    return CaptionerStage(ted, Silent(), scaled_linear(), statistics, asked)


def test_drawn_latents_are_those_of_ddim_and_the_others_have_noise_of_their_own():
    made, given = writing(drawn=0.5, steps=5, latent_noise=0.5), batch()
    latents = made.latents(given, StepDraws(make_generator(0)), all_drawn=False)
    generator = make_generator(0)
    drawn = torch.rand(4, generator=generator) < 0.5
    deviation = 0.5 * torch.rand(4, 1, 1, generator=generator)
    noise = torch.randn(4, 2, 4, generator=generator)
    assert 0 < drawn.sum() < 4
    levels = scaled_linear().alphas_cumprod.float()
    alone = noise * (levels[0] / levels[made.steps.timesteps[0]]).sqrt()  # all of it is kept
    mean, std = torch.arange(8.0).view(2, 4), torch.linspace(0.5, 2, 8).view(2, 4)
    wanted = torch.where(
        drawn[:, None, None],
        mean + std * alone,
        mean + std * given.sentence + deviation * noise,
    )
    torch.testing.assert_close(latents, wanted, rtol=1e-4, atol=1e-4)
    everything = made.latents(given, StepDraws(make_generator(0)), all_drawn=True)
    torch.testing.assert_close(everything, mean + std * alone, rtol=1e-4, atol=1e-4)


def test_a_caption_is_told_behind_its_latents():
    """Cross entropy by hand, of one caption after the other."""
    made, given = writing(drawn=1.0, steps=2), batch()
    captions = [[5, 6, 7, 0], [8, 0], [9, 10, 0], [11, 0]]
    told = ToldBatch(given, *padded(captions, 0))
    found = made.losses(told, 0)
    latents = made.latents(given, made.draws(0), all_drawn=True)
    each, right = [], []
    for row, ids in enumerate(captions):
        prefix = made.text_autoencoder.prefix(latents[row : row + 1])
        vectors = torch.cat([prefix, made.text_autoencoder.pieces(torch.tensor([ids[:-1]]))], 1)
        logits = made.text_autoencoder.logits(vectors)[0, 1:]
        each += [-logits.log_softmax(-1)[place, piece] for place, piece in enumerate(ids)]
        right += (logits.argmax(-1) == torch.tensor(ids)).tolist()
    assert found["loss"].item() == pytest.approx(torch.stack(each).mean().item(), rel=1e-4)
    assert found["right"].item() == pytest.approx(np.mean(right))


def test_a_captioner_writes_anew_and_reads_as_before(chain):
    before, after = (
        Run(chain[name]).tensors("text_autoencoder") for name in ("text_autoencoder", "captioner")
    )
    changed = {name.split(".")[0] for name in before if not before[name].equal(after[name])}
    reads = {"queries", "reading", "to_latents"}
    assert changed and not changed & reads and reads < {name.split(".")[0] for name in before}
    said = [load_motion_model(Run(chain[name])) for name in ("joint_diffusion", "captioner")]
    asked = (["a person walks"], [24], [1], Sampling("ddim", 2, 2.0))
    drawn = [model.sample(*asked) for model in said]
    torch.testing.assert_close(*drawn, rtol=0, atol=0)


@pytest.mark.parametrize("stage_name", ["joint_diffusion", "captioner"])
@pytest.mark.parametrize("way", ["hub", "starter"])
def test_what_is_packed_tells_and_makes_as_before(
    chain, clip, micro_dataset, tmp_path, capsys, way, stage_name
):
    """With all that both directions need: pieces of sentences, statistics of both latents."""
    run, packed = Run(chain[stage_name]), tmp_path / "packed"
    if way == "hub":
        pack_run(run, packed)
    else:
        words = ["export", f"run={run.folder}", "format=starter", f"output={packed}", "bits=16"]
        assert main([*words, f"dataset={micro_dataset}"]) == 0
    stick = tmp_path / "stick.npy"
    np.save(stick, read_motion(clip).joints)
    said = []
    for place in (run.folder, packed):
        table = tmp_path / f"{place.name}.tsv"
        asked = [f"run={place}", "sampling.steps=2", "device=cpu", f"output={table}"]
        assert main(["caption", *asked, f"motions={stick}"]) == 0, capsys.readouterr().err
        said.append(table.read_text())
    assert way == "starter" or said[0] == said[1]


def test_joints_and_features_of_one_motion_have_one_caption(chain, clip, tmp_path):
    from lead.representation import joints_to_features

    motion = read_motion(clip)
    turn = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], dtype=np.float32)
    np.save(tmp_path / "joints.npy", motion.joints)
    np.save(tmp_path / "turned.npy", motion.joints @ turn + np.float32([2, 0.5, -3]))
    features = joints_to_features(motion.joints, "humanml3d", shortest_turn=True)
    np.save(tmp_path / "features.npy", features)
    asked = ["caption", f"run={chain['joint_diffusion']}", "sampling.steps=2", "device=cpu"]
    asked += [f"motions={tmp_path}", f"output={tmp_path / 'out.tsv'}"]
    assert main(asked) == 0
    rows = list(csv.DictReader((tmp_path / "out.tsv").open(), delimiter="\t"))
    assert len(rows) == 3 and len({row["sentence"] for row in rows}) == 1


def test_runs_that_do_not_fit_are_refused(chain, micro_words, tmp_path, capsys):
    words = micro_words("joint_diffusion", tmp_path / "run")
    earlier = [f"vae={chain['vae']}", f"text_autoencoder={chain['text_autoencoder']}"]
    for more, line in (
        (earlier[:1], "text_autoencoder=RUN"),
        (earlier[1:], "vae=RUN"),
        ([*earlier, "text_encoder.dim=13"], "another text encoder"),
        ([*earlier[:1], f"text_autoencoder={chain['vae']}"], "is a vae run"),
        ([*earlier, "stage.module.contexts.joint=0.5"], "sum to 1.4"),
    ):
        capsys.readouterr()
        assert main(["train", *words, *more]) == 2
        said = capsys.readouterr().err
        assert line in said and len(said.splitlines()) == 1 and len(said) <= 310, said
    assert not (tmp_path / "run").exists()


def test_a_model_of_one_direction_writes_no_captions(world, tmp_path, flow_run, capsys):
    figure = world.figure("walk.bvh", 25)
    asked = ["caption", f"run={flow_run.folder}", f"motions={figure}", f"output={tmp_path / 'o'}"]
    assert main(asked) == 2
    assert "writes no sentences" in capsys.readouterr().err


def test_other_sentences_from_the_command_line(chain, tmp_path, capsys):
    table = tmp_path / "like.tsv"
    (tmp_path / "said.txt").write_text("a person walks\n\nsomeone jumps\n")
    run = [f"run={chain['joint_diffusion']}", "sampling.steps=2", "device=cpu", f"output={table}"]
    asked = [*run, f"texts={tmp_path / 'said.txt'}", "count=2", "strength=0.3"]
    assert main(["caption", *asked]) == 0, capsys.readouterr().err
    rows = list(csv.DictReader(table.open(), delimiter="\t"))
    wanted = [(text, seed) for text in ("a person walks", "someone jumps") for seed in "12"]
    assert [(row["file"], row["seed"]) for row in rows] == wanted
    for words, line in (
        (["text= "], "text is empty"),
        (["text=a", "motions=b.npz"], "one of"),
        (["text=a", "strength=2"], "strength"),
        (["motions=none.npz"], "motions=none.npz is no file: check the path"),
    ):
        assert main(["caption", *run, "overwrite=true", *words]) == 2
        said = capsys.readouterr().err
        assert line in said and len(said.splitlines()) == 1


def test_a_text_autoencoder_is_measured_by_what_it_leaves_of_captions(
    chain, micro_dataset, tmp_path
):
    output = tmp_path / "rebuilt.json"
    asked = [f"run={chain['text_autoencoder']}", f"dataset={micro_dataset}", f"output={output}"]
    assert main(["evaluate", *asked, "clips=3", "split=train", "device=cpu"]) == 0
    rows = json.loads(output.read_text())["rows"]
    assert [*rows] == [f"{kind}, 3 captions" for kind in ("cmu", "humanml3d", "kit_ml")]
    for row in rows.values():
        assert row["word_for_word"]["count"] == 3 and 0 <= row["bleu_4_raw"]["mean"] <= 100


def test_content_words_kept_and_sentences_word_for_word():
    wanted = ["A person kicks twice.", "a man waves his right hand", "the person is"]
    row = compare(wanted, ["a person kicks twice", "he waves the left hand twice", "a person was"])
    # kicks, twice: 2 of 2; waves, right, hand: 2 of 3; the third has no content word
    assert row["content_words"].mean == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert row["content_words"].count == 2
    assert row["word_for_word"].mean == pytest.approx(100 / 3)


def test_both_spaces_are_drawn_and_one_is_sought_by_the_other(
    chain, micro_dataset, tmp_path, capsys
):
    asked = [f"run={chain['joint_diffusion']}", f"dataset={micro_dataset}", "split=train"]
    picture = tmp_path / "spaces.png"
    options = ["label=captions", "method=pca", "device=cpu", f"output={picture}"]
    capsys.readouterr()
    assert main(["report", "latents", *asked, *options]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    names = ("motion", "sentence", "motion_after", "sentence_after", "latents", "after the blocks")
    assert all(f"\n{name} " in said for name in names)
    header = picture.with_suffix(".csv").read_text().splitlines()[0]
    assert header.split(",")[2::2] == [f"{name}_x" for name in names[:4]]


def test_the_map_between_spaces_is_ridge_regression():
    """Least squares with rows that pull every weight to zero say the same."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 4)) + 5, rng.normal(size=(30, 3)) - 2
    pull = np.sqrt(RIDGE * (x - x.mean(0)).var(0).sum() * 30 / 4) * np.eye(4)
    rows = np.vstack([x - x.mean(0), pull])
    weights, *_ = np.linalg.lstsq(rows, np.vstack([y - y.mean(0), np.zeros((4, 3))]), rcond=None)
    np.testing.assert_allclose(ridge(x, y)(x + 1), (x + 1 - x.mean(0)) @ weights, atol=1e-10)


def test_both_directions_are_timed(chain, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("lead.bench.joint.BATCHES", (1, 2))
    monkeypatch.setattr("lead.generation.mote_model.TELLING", Sampling("ddim", 2, 2.0))
    machine = Machine("a processor", "2", {"fp32": 1e11}, 1e10)
    monkeypatch.setattr("lead.bench.machine.measure_machine", lambda setting: machine)
    file = tmp_path / "bench.json"
    words = [f"run={chain['joint_diffusion']}", "repeats=1", "frames=12", "device=cpu", "threads=1"]
    assert main(["bench", "joint", *words, f"output={file}"]) == 0, capsys.readouterr().err
    rows = json.loads(file.read_text())["rows"]
    named = {row["name"].rpartition(",")[0]: row for row in rows}
    assert [*named] == [f"{unit}, batch {n}" for unit in ("motions", "sentences") for n in (1, 2)]
    assert all((row["plain"] is None) == (row["items"] == 1) and row["ours"] > 0 for row in rows)
    capsys.readouterr()
    assert main(["bench", "joint", f"run={chain['vae']}", "device=cpu"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
