"""LEAD on a VAE whose latents keep time: its losses, what its runs keep, make and learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lead.cli.config import compose
from lead.cli.train_request import train_request
from lead.core.batches import LatentBatch
from lead.core.errors import RequestError
from lead.core.masks import lengths_to_mask
from lead.core.runs import Run
from lead.core.seeding import make_generator
from lead.diffusion.schedules import scaled_linear
from lead.generation import Sampling, load_motion_model
from lead.generation.attention import watch
from lead.inversion import Concept, InversionOptions
from lead.inversion.objectives import OBJECTIVES, Noised
from lead.models.projector import Projector
from lead.models.timed_denoiser import TimedDenoiser
from lead.representation.normalizer import load_normalizer
from lead.training.diffusion_stage import DiffusionOptions, DiffusionStage
from lead.training.distill_stage import DistillOptions, DistillStage
from lead.training.inversion_stage import invert
from lead.training.projector_stage import ProjectorOptions, ProjectorStage
from lead.training.randomness import StepDraws
from lead.training.stages import train_stage

DIM, TEXT = 6, 12
SIZES = (
    *("size=small", "model.denoiser.width=16", "model.denoiser.layers=2"),
    *("model.denoiser.heads=2", "model.denoiser.memory_slots=2", "model.denoiser.local_every=1"),
    *("model.vae.layers=1", "model.vae.heads=2", "model.vae.patch=3", "model.vae.overlap=1"),
    *("model.projector.layers=1", "model.projector.heads=2", "stage.guidance_dim=8"),
)
EARLIER = {
    **{"vae": (), "diffusion": ("vae",), "projector": ("diffusion",)},
    "distill": ("teacher=diffusion",),
}
FEW = Sampling("ddim", steps=3, guidance_scale=2.0)
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.fixture(scope="module")
def values_of(micro_words):
    """Resolved values of a stage in small sizes, and in latents that keep time."""

    def values(stage, run, *options):
        words = micro_words(stage, run)
        words = [word for word in words if not word.startswith(("size=", "model.denoiser."))]
        sizes = [size for size in SIZES if stage == "distill" or "guidance_dim" not in size]
        made = compose("train", [*words, *sizes, *options])
        return {key: value for key, value in made.items() if key != "data"}

    return values


@pytest.fixture(scope="module")
def runs(values_of, tmp_path_factory) -> dict[str, Run]:
    folder, made = tmp_path_factory.mktemp("timed"), {}
    for stage, earlier in EARLIER.items():
        pairs = ((name.split("=")[0], name.split("=")[-1]) for name in earlier)
        names = [f"{option}={folder / of}" for option, of in pairs]
        made[stage] = train_stage(train_request(values_of(stage, folder / stage, *names)))
    return made


def make_batch(tokens: int = 5, words: int = 4, garbage: float = 0.0) -> LatentBatch:
    """Two motions of 5 and 3 latents under texts of 4 and 2; ``garbage`` on what is not real."""
    draw = torch.Generator().manual_seed(0)
    mask = lengths_to_mask(torch.tensor([5, 3]), tokens)
    word_mask = lengths_to_mask(torch.tensor([4, 2]), words)
    mu, text, null = (
        torch.full((2, n, d), garbage) for n, d in ((tokens, DIM), *2 * [(words, TEXT)])
    )
    mu[:, :5][mask[:, :5]] = torch.randn(8, DIM, generator=draw)
    text[:, :4][word_mask[:, :4]] = torch.randn(6, TEXT, generator=draw)
    null[0, :2] = torch.randn(2, TEXT, generator=draw)
    empty = lengths_to_mask(torch.tensor([2]), words)
    spread = torch.full_like(mu, -torch.inf)
    return LatentBatch(*(mu, spread, text, null[:1], ["a", "b"], mask, word_mask, empty), longest=9)


def make_denoiser(**options) -> TimedDenoiser:
    torch.manual_seed(0)
    sizes = {"width": 16, "layers": 2, "heads": 2, "memory_slots": 2, "local_every": 1}
    network = TimedDenoiser(DIM, text_dim=TEXT, **sizes, **options)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network


STAGES = {
    "diffusion": lambda: DiffusionStage(make_denoiser(), scaled_linear(), DiffusionOptions()),
    "distill": lambda: DistillStage(
        *(make_denoiser(guidance_dim=8), make_denoiser(), scaled_linear(), DistillOptions())
    ),
    "projector": lambda: ProjectorStage(
        Projector(DIM, TEXT, width=16, layers=1, heads=2, feed_forward=16, dropout=0.0),
        ProjectorOptions(),
    ),
}


def loss_of(name: str, stage, batch: LatentBatch) -> torch.Tensor:
    draws = StepDraws(make_generator(3))
    if name == "projector":
        return stage._terms(batch, draws, ())["loss"]
    return stage._loss(batch, draws)


@pytest.mark.parametrize("name", STAGES)
def test_padding_changes_no_loss(name):
    stage = STAGES[name]()
    losses = [
        loss_of(name, stage, make_batch()),
        loss_of(name, stage, make_batch(garbage=40.0)),
        loss_of(name, stage, make_batch(tokens=8, words=7, garbage=-3.0)),
    ]
    for loss in losses[1:]:
        torch.testing.assert_close(loss, losses[0], **CLOSE)
    losses[2].backward()
    trained = [p for p in stage.parameters() if p.requires_grad]
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in trained)


def test_a_dropped_caption_is_the_empty_sentence_whatever_its_length():
    batch = make_batch(garbage=9.0).without_captions(torch.tensor([True, False]))
    whole = make_batch()
    assert batch.word_mask[0].tolist() == [True, True, False, False]
    assert torch.equal(batch.text[0, :2], whole.null_text[0, :2])
    assert torch.equal(batch.text[1, :2], whole.text[1, :2])


def test_the_diffusion_s_loss_is_the_error_on_real_latents():
    class Guess(torch.nn.Module):
        def forward(self, z_t, timestep, text, mask, word_mask):
            self.timestep = timestep
            return 0.5 * z_t

    guess, batch = Guess(), make_batch(garbage=torch.nan)
    loss = DiffusionStage(guess, scaled_linear(), DiffusionOptions())._loss(
        batch, StepDraws(make_generator(3))
    )
    draws = StepDraws(make_generator(3))
    _, noise = (draws.normal((2, 9, DIM))[:, :5].double().numpy() for _ in range(2))
    level = scaled_linear().alphas_cumprod[guess.timestep].double().numpy()[:, None, None]
    z_t = np.sqrt(level) * batch.mu.double().numpy() + np.sqrt(1 - level) * noise
    errors = ((0.5 * z_t - noise) ** 2)[batch.mask.numpy()]
    assert errors.shape == (8, DIM) and loss.item() == pytest.approx(errors.mean(), rel=1e-5)


def test_the_projector_s_loss_by_hand():
    """Means of the real tokens meet the pooled sentences; real tokens are rows of the others."""
    stage, batch = STAGES["projector"](), make_batch(garbage=7.0)
    terms = stage._terms(batch, StepDraws(make_generator(3)), ())
    rows = [batch.mu[row, :count][None] for row, count in enumerate((5, 3))]
    with torch.no_grad():
        projected = [stage.projector.encode(z) for z in rows]
        rebuilt = [stage.projector.decode(z)[0].double().numpy() for z in projected]
    cosines = []
    for row, each in enumerate(projected):
        mean, text = each[0].double().numpy().mean(0), batch.text[row, 0].double().numpy()
        cosines.append(mean @ text / np.linalg.norm(mean) / np.linalg.norm(text))
    z, z_hat = np.concatenate([each[0].numpy() for each in rows]), np.concatenate(rebuilt)
    wanted = {"align": 1 - np.mean(cosines), "rec": ((z - z_hat) ** 2).sum(1).mean()}
    (m, v), (n, w) = ((each.mean(0), each.var(0) + 1e-6) for each in (z, z_hat))
    wanted["var"] = 0.5 * (np.log(w / v) + (v + (m - n) ** 2) / w - 1).mean()
    for name, value in wanted.items():
        assert terms[name].item() == pytest.approx(value, rel=1e-4), name


def test_all_runs_on_a_diffusion_keep_its_statistics(runs):
    assert runs["diffusion"].options("denoiser")["latent_dim"] == 8
    kept = [
        load_normalizer(runs[name], 8).state_dict()
        for name in ("diffusion", "projector", "distill")
    ]
    for other in kept[1:]:
        assert all(torch.equal(kept[0][name], other[name]) for name in kept[0])


@pytest.mark.parametrize(
    ("stage", "sampling"),
    [
        ("diffusion", FEW),
        ("diffusion", Sampling("ddpm", timesteps=(900, 500, 100), guidance_scale=2.0)),
        ("projector", FEW),
        ("distill", Sampling("lcm", steps=2, guidance_scale=3.0)),
    ],
)
def test_a_motion_is_the_same_in_whatever_company(runs, stage, sampling):
    model = load_motion_model(runs[stage])
    assert model.can("project") == (stage == "projector") and not model.can("match_moments")
    texts, frames, seeds = (
        ["a person walks", "he bows", "a slow long jump"],
        [30, 41, 55],
        [1, 2, 3],
    )
    every = model.generate(texts, frames, seeds, sampling)
    z = model.sample(texts, frames, seeds, sampling)
    assert [int(row.any(-1).sum()) for row in z] == [10, 14, 19]
    for row in range(3):
        (alone,) = model.generate(texts[row : row + 1], [frames[row]], [seeds[row]], sampling)
        assert len(alone.joints) == frames[row]
        np.testing.assert_allclose(alone.joints, every[row].joints, atol=2e-4)


def test_where_its_diffusion_looks_is_seen(runs):
    model = load_motion_model(runs["diffusion"])
    texts = ["a person walks", "someone jumps over a box"]
    first, second = watch(model, texts, [24, 45], [1, 2], FEW)
    assert first.weights.shape[:4] == (3, 2, 2, 8) and second.weights.shape[3] == 15
    assert first.times == second.times == tuple(sorted(first.times, reverse=True))
    assert [word for word, _ in first.words] == ["(start)", "a", "person", "walks", "(padding)"]
    for seen in (first, second):
        np.testing.assert_allclose(seen.by_word.sum(-1), 1, atol=1e-5)
    assert not first.by_word[..., -1].any()
    for more in ({"sink_threshold": 0.2}, {"sink_padding": 9}, {"sink_base": 0.1}):
        with pytest.raises(RequestError, match="masked words are for flows"):
            model.check_sampling(replace(FEW, **more))


@pytest.mark.parametrize(("precision", "within"), [("fp32", 1e-3), ("bf16", 0.15)])
def test_prepared_for_inference_it_makes_the_same_motion(runs, precision, within):
    model = load_motion_model(runs["projector"])
    asked = (["a person walks"], [40], [1], FEW)
    (wanted,), (made,) = (each.generate(*asked) for each in (model, model.prepared(precision)))
    np.testing.assert_allclose(made.joints, wanted.joints, atol=within)
    assert precision == "fp32" or not np.array_equal(made.joints, wanted.joints)


def test_realigned_latents_depend_on_their_own_motion_alone(runs):
    model = load_motion_model(runs["projector"])
    torch.manual_seed(0)
    z = torch.randn(2, 6, 8)
    made = model.project(z, [18, 7])
    alone = model.project(z[1:, :3], [7])
    torch.testing.assert_close(made[1, :3], alone[0], **CLOSE)
    assert not made[1, 3:].any()
    clips = [
        np.random.default_rng(0).normal(size=(length, 263)).astype(np.float32)
        for length in (30, 20)
    ]
    every, one = model.rebuild(clips, model.project), model.rebuild(clips[1:], model.project)
    np.testing.assert_allclose(every[1], one[0], atol=2e-3)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_words_are_learned_by_every_objective(runs, objective):
    """The loss of a row is its own, and gradients reach the word."""
    model = load_motion_model(runs["projector"])
    options = InversionOptions(objective=objective, steps=2, batch_size=2, timestep_max=400)
    draw = torch.Generator().manual_seed(1)
    frames = torch.tensor([21, 10])
    clean, noise = (torch.randn(2, 9, 8, generator=draw) for _ in range(2))
    batch = Noised(clean, noise, torch.tensor([40, 300]), lengths_to_mask(frames))
    texts = ["a <zombie> person walks", "<zombie>"]
    word = model.text_encoder.word_vector("walk").clone().requires_grad_()
    losses = model.word_loss(batch, texts, {"<zombie>": word}, options)
    for row, length in enumerate(frames.tolist()):
        own = [each[row : row + 1] for each in (clean, noise, batch.timestep)]
        own[:2] = [each[:, : -(-length // 3)] for each in own[:2]]
        alone = Noised(*own, torch.ones(1, length, dtype=torch.bool))
        (wanted,) = model.word_loss(alone, texts[row : row + 1], {"<zombie>": word}, options)
        torch.testing.assert_close(losses[row], wanted, rtol=1e-3, atol=1e-5)
    losses.sum().backward()
    assert torch.isfinite(word.grad).all() and word.grad.abs().max() > 0
    motion = np.random.default_rng(0).normal(size=(40, 263)).astype(np.float32)
    concept = Concept("<zombie>", "walk", (motion,), ("a clip",), ("a <*> person",))
    (learned,) = invert([concept], model, options)
    assert not torch.equal(learned.vector, model.text_encoder.word_vector("walk"))


def test_what_does_not_fit_is_one_line(runs):
    model = load_motion_model(runs["diffusion"])
    with pytest.raises(RequestError, match="compiled=true is for latents of whole clips"):
        model.prepared(compiled=True)
    with pytest.raises(RequestError, match="needs a projector"):
        load = replace(model, projector=None)
        blank = torch.zeros(1, 1, 8)
        one = Noised(blank, blank, torch.tensor([3]), torch.ones(1, 3, dtype=torch.bool))
        load.word_loss(one, ["a walk"], {}, InversionOptions(objective="lead"))
