"""The VAE whose latents keep time: windows that meet, padding that cannot leak, whole features."""

import pytest
import torch

from lead.core.errors import RequestError
from lead.core.masks import lengths_to_mask
from lead.models.timed_vae import TimedVae, cross_fade, overlap_add
from lead.representation import features_to_joints
from lead.representation.skeletons import SKELETONS

FRAMES, LAYERS, REACH = 32, 2, 1
SIZES = {"latent_dim": 6, "width": 16, "layers": LAYERS, "heads": 2, "feed_forward": 24}


def make(patch=4, overlap=2, reach=REACH, **options) -> TimedVae:
    torch.manual_seed(0)
    return TimedVae(**SIZES, patch=patch, overlap=overlap, reach=reach, **options).double()


@pytest.fixture(scope="module", params=[(4, 2), (4, 0), (5, 1)], ids=str)
def vae(request) -> TimedVae:
    return make(*request.param).eval()


def real(*lengths, frames=FRAMES):
    return lengths_to_mask(torch.tensor(lengths), frames)


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("patch", "overlap"), [(4, 0), (4, 1), (4, 2), (5, 2), (7, 3), (1, 0)])
def test_windows_that_say_the_same_are_a_partition_of_unity(patch, overlap):
    fade = cross_fade(patch, overlap).double()
    window, tokens = patch + 2 * overlap, 6
    assert torch.equal(fade, fade.flip(0)) and len(fade) == window
    sums = torch.zeros((tokens - 1) * patch + window, dtype=torch.float64)
    for token in range(tokens):
        sums[token * patch : token * patch + window] += fade
    inside = sums[2 * overlap : len(sums) - 2 * overlap]
    torch.testing.assert_close(inside, torch.ones_like(inside), atol=1e-6, rtol=0)
    values = draw(1, len(sums), 3)
    windows = torch.stack([values[:, n * patch : n * patch + window] for n in range(tokens)], 1)
    out = overlap_add(windows, fade, torch.ones(1, tokens, dtype=torch.bool), patch)
    torch.testing.assert_close(out, values)  # whatever the signal, at the ends too


def test_a_window_of_padding_writes_nothing():
    windows, fade = draw(1, 3, 8, 2), cross_fade(4, 2).double()
    alone = overlap_add(windows[:, :2], fade, torch.ones(1, 2, dtype=torch.bool), 4)
    windows[:, 2] = 1e6
    out = overlap_add(windows, fade, torch.tensor([[True, True, False]]), 4)
    torch.testing.assert_close(out[:, : alone.shape[1]], alone)
    assert not out[:, alone.shape[1] :].any()


@torch.no_grad()
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 8, 11, 31, 32])
def test_a_padded_clip_is_as_good_as_alone(vae, length, training):
    vae.train(training)
    x, padded = draw(1, length, 263), torch.full((2, FRAMES, 263), torch.nan).double()
    padded[1], padded[0, :length] = 1, x[0]
    mask, tokens = real(length, FRAMES), -(-length // vae.patch)
    alone = vae.encode(x, real(length, frames=length))
    both = vae.encode(padded, mask)
    assert torch.equal(vae.token_mask(mask)[0].nonzero()[:, 0], torch.arange(tokens))
    for one, two in zip(alone, both, strict=True):
        assert one.shape == (1, tokens, 6)
        torch.testing.assert_close(two[:1, :tokens], one, atol=1e-9, rtol=1e-9)
        assert not two[0, tokens:].any()
    z = torch.cat([both[0], torch.zeros(2, 3, 6).double()], dim=1)
    z[0, tokens:] = 1e3  # latents behind the end change nothing
    out, by_itself = vae.decode(z, mask), vae.decode(alone[0], real(length, frames=length))
    assert by_itself.shape == x.shape
    torch.testing.assert_close(out[:1, :length], by_itself, atol=1e-7, rtol=1e-7)
    assert not out[0, length:].any()
    vae.eval()


def test_gradients_at_padding_are_exactly_zero(vae):
    vae.train()
    mask = real(FRAMES, 9, 1)
    x = draw(3, FRAMES, 263).requires_grad_()
    mu, logvar = vae.encode(x, mask)
    z = (mu + draw(*mu.shape, seed=1) * logvar).detach().requires_grad_()
    (mu.square().sum() + logvar.sum()).backward()
    assert torch.equal(x.grad.any(-1), mask), "every real frame counts, and no other"
    assert not x.grad[..., vae.written :].any()
    vae.decode(z, mask).square().sum().backward()
    tokens = vae.token_mask(mask)
    assert z.grad[tokens].any(-1).all() and not z.grad[~tokens].any()
    vae.eval()


def test_tokens_see_as_far_as_reach_says_and_no_further(vae):
    """Each layer hands on what it saw: `layers` times `reach` tokens."""
    vae.train()
    x = draw(1, FRAMES, 263).requires_grad_()
    mu, _ = vae.encode(x, real(FRAMES))
    token = mu.shape[1] // 2
    (gradient,) = torch.autograd.grad(mu[:, token].sum(), x)
    seen = gradient[0].any(-1).nonzero()[:, 0]
    far = LAYERS * REACH
    wanted = range((token - far) * vae.patch, min((token + far + 1) * vae.patch, FRAMES))
    assert seen.tolist() == [*wanted]
    vae.eval()


@pytest.mark.parametrize("name", SKELETONS)
@torch.no_grad()
def test_what_leaves_decode_is_what_features_say_of_its_joints(name):
    """Against an independent way: steps of its joints, turned into their facing by hand."""
    skeleton = SKELETONS[name]
    generator = torch.Generator().manual_seed(1)
    features = skeleton.features
    mean, std = torch.zeros(features), torch.ones(features)
    std[: 4 + 3 * (skeleton.joints - 1)] = 0.02 / skeleton.metres_per_unit
    std[0] = 0.01
    rest = skeleton.reference_offsets()
    joints = torch.zeros(skeleton.joints, 3, dtype=rest.dtype)
    for chain in skeleton.chains:
        for parent, joint in zip(chain, chain[1:], strict=False):
            joints[joint] = joints[parent] + rest[joint]
    mean[3] = 1 / skeleton.metres_per_unit
    local = joints + torch.tensor([0.0, 1.0, 0.0])
    mean[4 : 4 + 3 * (skeleton.joints - 1)] = local[1:].flatten() / skeleton.metres_per_unit
    torch.manual_seed(2)
    vae = TimedVae(features, **SIZES).eval()
    vae.fit_statistics(mean, std)
    z = torch.randn(2, 8, 6, generator=generator)
    mask = real(30, 13, frames=30)
    raw = vae.decode(z, mask) * std + mean
    others = 4 + 9 * (skeleton.joints - 1)
    for row, length in enumerate((30, 13)):
        clip = raw[row, :length].double()
        places = features_to_joints(clip, name) / skeleton.metres_per_unit
        step, turn = places.diff(dim=0), 2 * clip[:-1, 0].cumsum(0)
        turn = torch.cat([turn.new_zeros(1), turn])[:-1]
        x, y, w = step[..., 0], step[..., 1], step[..., 2]
        cos, sin = turn.cos()[:, None], turn.sin()[:, None]
        velocities = torch.stack([cos * x + sin * w, y, cos * w - sin * x], -1).flatten(1)
        torch.testing.assert_close(clip[:-1, others:-4], velocities, atol=1e-2 * std[1], rtol=1e-3)
        feet = step[:, [*skeleton.left_foot, *skeleton.right_foot]]
        standing = feet.square().sum(-1) < skeleton.contact_threshold
        assert torch.equal(clip[:-1, -4:] > 0.5, standing)
        six = clip[:, 4 + 3 * (skeleton.joints - 1) : others].unflatten(-1, (-1, 2, 3))
        unit = torch.eye(2).double().expand(*six.shape[:2], 2, 2)
        torch.testing.assert_close(six @ six.mT, unit, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overlap": 3}, "at most 2"),
        ({"width": 18, "heads": 6}, "even number"),
        ({"heads": 3}, "heads"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options, message):
    with pytest.raises(RequestError, match=message):
        TimedVae(**{**SIZES, **options})


def test_another_number_of_latents_is_refused(vae):
    with pytest.raises(RequestError, match="3 latents for 32 frames"):
        vae.decode(draw(1, 3, 6), real(FRAMES))
