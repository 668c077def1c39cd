"""The auto-encoder of joints: causal, joint by joint, exact at every length."""

import pytest
import torch

from lead.core.errors import RequestError
from lead.core.masks import lengths_to_mask
from lead.models.joint_autoencoder import JointAutoencoder, token_mask

CLOSE = {"atol": 1e-9, "rtol": 1e-9}
FRAMES, JOINTS = 16, 3


@pytest.fixture(scope="module")
def autoencoder():
    torch.manual_seed(0)
    return JointAutoencoder(width=8, depth=3).double().eval()


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def real(*lengths, frames=FRAMES):
    return lengths_to_mask(torch.tensor(lengths), frames)


def reached(output, given):
    """Frames or tokens of ``given`` that have a gradient from ``output``."""
    (gradient,) = torch.autograd.grad(output.sum(), given, retain_graph=True)
    return [bool(step.any()) for step in gradient[0]]


def test_a_latent_sees_the_frames_up_to_its_own_last_one(autoencoder):
    x = draw(1, FRAMES, JOINTS, 3).requires_grad_()
    latents = autoencoder.encode(x, real(FRAMES))
    for token in range(FRAMES // 4):
        seen = reached(latents[:, token], x)
        assert all(seen[4 * token : 4 * token + 4]), "it sees its own frames"
        assert not any(seen[4 * token + 4 :]), "and none behind them"


def test_a_frame_sees_the_latents_up_to_its_own(autoencoder):
    z = draw(1, FRAMES // 4, JOINTS, 4).requires_grad_()
    x = autoencoder.decode(z, real(FRAMES))
    for frame in range(FRAMES):
        seen = reached(x[:, frame], z)
        assert seen[frame // 4] and not any(seen[frame // 4 + 1 :])


def test_joints_do_not_mix(autoencoder):
    x = draw(1, FRAMES, JOINTS, 3).requires_grad_()
    x_hat = autoencoder.decode(autoencoder.encode(x, real(FRAMES)), real(FRAMES))
    (gradient,) = torch.autograd.grad(x_hat[:, :, 1].sum(), x)
    assert gradient[:, :, 1].any() and not gradient[:, :, [0, 2]].any()


@torch.no_grad()
@pytest.mark.parametrize("length", range(1, FRAMES + 1))
def test_a_padded_clip_is_as_good_as_alone(autoencoder, length):
    """Whatever stands on the padding, and whether the length is a multiple of four or not."""
    x, padded = draw(1, length, JOINTS, 3), torch.full((2, FRAMES, JOINTS, 3), torch.nan)
    padded[1] = 1
    padded = padded.double()
    padded[0, :length] = x[0]
    mask, tokens = real(length, FRAMES), -(-length // 4)
    alone = autoencoder.encode(x, real(length, frames=length))
    latents = autoencoder.encode(padded, mask)
    assert alone.shape == (1, tokens, JOINTS, 4)
    torch.testing.assert_close(latents[:1, :tokens], alone, **CLOSE)
    assert not latents[0, tokens:].any()
    latents[0, tokens:] = 1e3  # latents behind the end change nothing either
    x_hat = autoencoder.decode(latents, mask)
    x_alone = autoencoder.decode(alone, real(length, frames=length))
    assert x_alone.shape == x.shape
    torch.testing.assert_close(x_hat[:1, :length], x_alone, **CLOSE)
    assert not x_hat[0, length:].any()


@torch.no_grad()
def test_a_clip_goes_on_with_its_last_frame(autoencoder):
    x = draw(1, 6, JOINTS, 3)
    held = torch.cat([x, x[:, -1:], x[:, -1:]], dim=1)
    wanted = autoencoder.encode(held, real(8, frames=8))
    torch.testing.assert_close(autoencoder.encode(x, real(6, frames=6)), wanted, **CLOSE)


def test_the_mask_of_latents():
    mask = real(1, 4, 5, 10, frames=10)
    wanted = [[True, False, False], [True, False, False], [True, True, False], [True] * 3]
    assert token_mask(mask).tolist() == wanted


@torch.no_grad()
def test_rescaled_latents_have_unit_variance_and_decode_as_before():
    torch.manual_seed(1)
    autoencoder = JointAutoencoder(width=8).double().eval()
    clips = [(draw(3, 12, JOINTS, 3, seed=s), real(12, 5, 8, frames=12)) for s in (1, 2)]
    before = [autoencoder.decode(autoencoder.encode(x, mask), mask) for x, mask in clips]
    for _ in range(2):  # a second fit forgets the first
        autoencoder.fit_rescaling(clips)
        latents = [autoencoder.encode(x, mask) for x, mask in clips]
        parts = [z[token_mask(mask)] for z, (_, mask) in zip(latents, clips, strict=True)]
        values = torch.cat(parts).reshape(-1, 4)
        torch.testing.assert_close(values.mean(0), torch.zeros(4).double(), atol=1e-6, rtol=0)
        torch.testing.assert_close(values.var(0, correction=0), torch.ones(4).double())
    for z, (_, mask), wanted in zip(latents, clips, before, strict=True):
        torch.testing.assert_close(autoencoder.decode(z, mask), wanted, **CLOSE)
    copy = JointAutoencoder(width=8).double().eval()
    copy.load_state_dict(autoencoder.state_dict())
    assert torch.equal(copy.encode(*clips[0]), latents[0]), "the scale is saved with the weights"


def test_what_does_not_fit_is_told(autoencoder):
    with pytest.raises(RequestError, match="3 latents for 16 frames"):
        autoencoder.decode(draw(1, 3, JOINTS, 4), real(FRAMES))
    for clips in ([], [(torch.zeros(1, 4, 1, 3).double(), real(4, frames=4))]):
        with pytest.raises(RequestError, match="never change"):
            JointAutoencoder(width=2).double().eval().fit_rescaling(clips)


@torch.no_grad()
@pytest.mark.parametrize(("width", "depth", "channels"), [(6, 1, 3), (8, 2, 4), (16, 3, 5)])
def test_a_fresh_one_can_start_as_a_copy_of_every_fourth_frame(width, depth, channels):
    """And so is off by no more than what a joint moves in three frames."""
    torch.manual_seed(0)
    network = JointAutoencoder(width=width, depth=depth, channels=channels).double().eval()
    network.start_as_copy()
    x = 0.01 * draw(1, FRAMES, JOINTS, 3).cumsum(1)
    latents = network.encode(x, real(FRAMES))
    torch.testing.assert_close(latents[..., :3], x[:, 3::4], **CLOSE)
    rebuilt = network.decode(latents, real(FRAMES))
    torch.testing.assert_close(rebuilt, x[:, 3::4].repeat_interleave(4, 1), **CLOSE)
    step = x.diff(dim=1).norm(dim=-1).max()
    assert (rebuilt - x).norm(dim=-1).max() <= 3 * step + 1e-9


def test_a_copy_learns_with_every_weight():
    """What the copy does not use has no say at first, and gets it within three steps."""
    torch.manual_seed(0)
    network = JointAutoencoder(width=8, depth=2)
    network.start_as_copy()
    x = draw(1, FRAMES, JOINTS, 3).float()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for _ in range(4):
        optimizer.zero_grad()
        made = network.decode(network.encode(x, real(FRAMES)), real(FRAMES))
        (made - x).square().sum().backward()
        optimizer.step()
    for name, parameter in network.named_parameters():
        assert parameter.grad.any(), name


@pytest.mark.parametrize("sizes", [{"channels": 2}, {"width": 5}])
def test_a_copy_needs_room_for_the_coordinates(sizes):
    with pytest.raises(RequestError, match="start_as_copy=false"):
        JointAutoencoder(**{"width": 8, **sizes}).start_as_copy()
