"""A motion of many sentences: windows that share each latent, and what they come to together."""

import numpy as np
import pytest
import torch

from lead.core.errors import RequestError
from lead.generation import Sampling, load_motion_model
from lead.generation.timeline import plan_windows, seam_frames

FEW = Sampling("euler", steps=3, guidance_scale=2.0)
TEXTS = ["a person walks", "a person runs in a circle and stops", "someone jumps"]


def dense(windows, whole: int) -> torch.Tensor:
    """Share of every window in every latent, (windows, latents)."""
    return torch.zeros(len(windows.places), whole).scatter_add_(1, windows.places, windows.share)


@pytest.mark.parametrize("overlap", [1, 3, 8])
@pytest.mark.parametrize("tokens", [[5], [40], [9, 14, 3], [1, 1, 1, 1], [120, 4, 50]])
def test_every_latent_is_shared_out_among_windows_that_the_network_knows(tokens, overlap):
    windows = plan_windows(tokens, 49, overlap)
    whole = sum(tokens)
    torch.testing.assert_close(dense(windows, whole).sum(0), torch.ones(whole))
    assert windows.mask.sum(1).max() <= 49 and not windows.share[~windows.mask].any()
    assert (windows.share >= 0).all() and (windows.share[windows.mask] > 0).all()
    of = torch.tensor(windows.sentences)
    middles = np.cumsum([0, *tokens])[:-1] + np.array(tokens) // 2
    for sentence, (middle, length) in enumerate(zip(middles, tokens, strict=True)):
        shares = [float(dense(windows, whole)[of == s, middle].sum()) for s in range(len(tokens))]
        assert shares[sentence] == max(shares)
        assert length <= 2 * overlap or shares[sentence] == pytest.approx(1)


def test_shares_cross_evenly_over_a_seam():
    windows = plan_windows([10, 12], 49, 3)
    wanted = torch.ones(22)
    wanted[7:13] = torch.tensor([11, 9, 7, 5, 3, 1]) / 12
    wanted[13:] = 0
    torch.testing.assert_close(dense(windows, 22), torch.stack([wanted, 1 - wanted]))
    seen = [place[mask].tolist() for place, mask in zip(windows.places, windows.mask, strict=True)]
    assert seen == [[*range(13)], [*range(7, 22)]]


def test_the_whole_moves_by_the_weighted_mean_of_its_windows():
    windows = plan_windows([10, 12], 49, 3)

    def each(z, time):
        assert z.shape == (2, 15, 1, 2) and time.tolist() == [0.25, 0.25]
        return z + torch.tensor([1.0, 5.0])[:, None, None, None]

    z = torch.randn(1, 22, 1, 2, generator=torch.Generator().manual_seed(0))
    moved = windows.blend(each)(z, torch.tensor([0.25]))
    wanted = z + (dense(windows, 22) * torch.tensor([[1.0], [5.0]])).sum(0)[None, :, None, None]
    torch.testing.assert_close(moved, wanted)


def test_seams_stand_between_latents_and_the_whole_is_exact():
    assert seam_frames([31, 30, 29], 4, 10) == [(0, 32), (32, 60), (60, 90)]
    assert seam_frames([13], 4, 10) == [(0, 13)]
    with pytest.raises(RequestError, match="^sentence 2 of the timeline has 9 frames, 10 are"):
        seam_frames([31, 9], 4, 10)


@pytest.fixture(scope="module")
def model(timed_flow_run):
    return load_motion_model(timed_flow_run)


@pytest.mark.parametrize(
    "sampling",
    [
        FEW,
        Sampling("heun", steps=2, guidance_scale=1.0),
        Sampling("euler", steps=3, guidance_scale=2.0, sink_base=0.05, sink_alpha=1.0),
        Sampling("euler", steps=3, guidance_scale=2.0, sink_threshold=0.2, sink_word="random"),
    ],
    ids=["plain", "heun", "sinks", "masked"],
)
def test_one_sentence_is_an_ordinary_clip(model, sampling):
    wanted = model.generate(TEXTS[:1], [44], [7], sampling)[0]
    made, spans = model.generate_timeline(TEXTS[:1], [44], 7, sampling)
    assert spans == [(0, 44)] and made.text == TEXTS[0]
    np.testing.assert_allclose(made.joints, wanted.joints, atol=1e-3)


def test_a_timeline_is_longer_than_any_clip_and_each_part_has_its_sentence(model):
    """Frames limit 60: of 170, what a sentence says changes its own frames most."""
    frames = [60, 70, 40]
    made, spans = model.generate_timeline(TEXTS, frames, 7, FEW)
    assert made.joints.shape == (170, 22, 3) and made.features.shape == (170, 263)
    assert spans == [(0, 60), (60, 129), (129, 170)]
    latents = model.sample_timeline(TEXTS, spans, 7, FEW)
    again = model.sample_timeline(TEXTS, spans, 7, FEW)
    assert torch.equal(latents, again)
    assert not torch.equal(latents, model.sample_timeline(TEXTS, spans, 8, FEW))


def test_a_sentence_reaches_no_further_than_its_windows(model, monkeypatch):
    """One step from the same noise: only what its own windows see moves otherwise."""
    spans, step = model.timeline_spans([60, 60, 60]), Sampling("euler", steps=1, guidance_scale=2.0)
    noise = torch.randn(60, 1, 6, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(type(model), "_noise", lambda *_: noise[None])
    one, other = (
        model.sample_timeline([TEXTS[0], text, TEXTS[2]], spans, 7, step)[0]
        for text in (TEXTS[1], "a person waves")
    )
    moved = ((one - other).abs() > 1e-5).flatten(1).any(1)
    assert moved[20:40].all() and not moved[:17].any() and not moved[43:].any()


def test_who_cannot_refuses_in_one_line(flow_run, sticks):
    for model in (load_motion_model(flow_run), sticks.make_sticks()):
        assert not model.can("timeline")
        with pytest.raises(RequestError, match="^timeline= needs a flow on a VAE whose latents"):
            model.generate_timeline(TEXTS[:1], [20], 1, FEW)
