"""MoTe's diffusion: contexts are what they say, padding is read by nobody, in every interaction."""

import pytest
import torch

from lead.core.masks import lengths_to_mask
from lead.models.blocks.dpd import INTERACTIONS
from lead.models.joint_denoiser import CLEAN, JointDenoiser, Side

CLOSE = {"rtol": 1e-4, "atol": 1e-5}
SIZES = {"channels": 5, "sentence_tokens": 3, "sentence_dim": 4, "width": 16, "layers": 2}
SIZES |= {"heads": 2, "text_dim": 12}
MASK = lengths_to_mask(torch.tensor([6, 3]))


@pytest.fixture(params=sorted(INTERACTIONS))
def network(request) -> JointDenoiser:
    torch.manual_seed(1)
    made = JointDenoiser(interaction=request.param, **SIZES)
    for parameter in made.parameters():  # gates start at zero
        torch.nn.init.normal_(parameter, std=0.3)
    return made


class Inputs:
    """Two rows of everything, as leaves of which gradients are asked."""

    def __init__(self):
        torch.manual_seed(2)
        shapes = {"motion": (2, 6, 5), "text": (2, 3, 4), "words": (2, 7, 12)}
        self.leaves = {k: torch.randn(shape).requires_grad_() for k, shape in shapes.items()}
        self.word_mask = lengths_to_mask(torch.tensor([7, 4]))

    def run(self, network, motion: int | None, text: int | None, words: bool = True):
        """The noise of both, each at a timestep, or as the empty token."""
        sides = []
        for name, step, mask in (("motion", motion, MASK), ("text", text, None)):
            timestep = torch.full((2,), 0 if step is None else step)
            given = torch.full((2,), step is not None)
            sides.append(Side(self.leaves[name], timestep, given, mask))
        words = self.leaves["words"] if words else None
        return network(*sides, words, self.word_mask)

    def seen(self, out: torch.Tensor) -> set[str]:
        """What an output depends on."""
        leaves, ways = [*self.leaves.values()], {"allow_unused": True, "retain_graph": True}
        grads = torch.autograd.grad(out.sum(), leaves, **ways)
        return {k for k, g in zip(self.leaves, grads, strict=True) if g is not None and g.any()}


@pytest.mark.parametrize(
    ("motion", "text", "of_motion", "of_text"),
    [
        (500, 300, {"motion", "text"}, {"motion", "text"}),  # joint: words are no part of it
        (500, CLEAN, {"motion", "text", "words"}, None),  # motion from text
        (CLEAN, 300, None, {"motion", "text"}),  # text from motion
        (500, None, {"motion"}, None),  # motion alone
        (None, 300, None, {"text"}),  # text alone
        (None, None, set(), set()),  # the empty context sees neither
    ],
)
def test_each_context_sees_what_it_says(network, motion, text, of_motion, of_text):
    inputs = Inputs()
    out = inputs.run(network, motion, text)
    for side, wanted in zip(out, (of_motion, of_text), strict=True):
        if wanted is not None:
            assert inputs.seen(side[MASK] if side.shape[1] == 6 else side) == wanted


def test_words_that_are_not_to_be_read_change_nothing(network):
    inputs = Inputs()
    without = inputs.run(network, 500, 300, words=False)
    for one, other in zip(inputs.run(network, 500, 300), without, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)
    with torch.no_grad():
        clean = inputs.run(network, 500, CLEAN)[0]
        inputs.leaves["words"][1, 4:] = 7.0  # padding of the second sentence
        torch.testing.assert_close(inputs.run(network, 500, CLEAN)[0], clean, **CLOSE)
        inputs.leaves["words"][1, 3] = 7.0
        assert not torch.allclose(inputs.run(network, 500, CLEAN)[0][1, :3], clean[1, :3])


@torch.no_grad()
def test_padded_motion_and_neighbours_change_nothing(network):
    inputs = Inputs()
    both = inputs.run(network, 500, CLEAN)
    z, words = inputs.leaves["motion"], inputs.leaves["words"]
    step, given = torch.tensor([500]), torch.tensor([True])
    alone = network(
        Side(z[1:, :3], step, given),
        Side(inputs.leaves["text"][1:], torch.tensor([CLEAN]), given),
        words[1:, :4],
    )
    torch.testing.assert_close(both[0][1:, :3], alone[0], **CLOSE)
    torch.testing.assert_close(both[1][1:], alone[1], **CLOSE)
    z[1, 3:] = 9.0
    again = inputs.run(network, 500, CLEAN)
    torch.testing.assert_close(again[0][MASK], both[0][MASK], **CLOSE)


@torch.no_grad()
def test_an_empty_modality_tells_nothing_of_its_length_or_time(network):
    inputs = Inputs()
    given, text = torch.tensor([False, False]), Side(inputs.leaves["text"], *_steps(300), None)
    wanted = inputs.run(network, None, 300)[1]
    for tokens, step in ((1, 0), (4, 700), (6, 999)):
        motion = Side(torch.randn(2, tokens, 5), torch.full((2,), step), given, None)
        torch.testing.assert_close(network(motion, text)[1], wanted, **CLOSE)


@torch.no_grad()
def test_both_times_are_read(network):
    inputs = Inputs()
    at = {(m, t): inputs.run(network, m, t) for m in (10, 900) for t in (10, 900)}
    for place in range(2):
        for one, other in (((10, 10), (900, 10)), ((10, 10), (10, 900))):
            assert not torch.allclose(at[one][place], at[other][place], atol=1e-3)


@pytest.mark.parametrize("empty", ["token", "noise"])
def test_nothing_is_an_empty_token_or_noise_at_the_last_time(empty):
    network = JointDenoiser(**SIZES, empty=empty)
    noise = torch.randn(2, 3, 4)
    side = network.nothing(noise, 999)
    assert side.z_t is noise and side.timestep.tolist() == [999, 999]
    assert side.given.tolist() == 2 * [empty == "noise"]


def test_fresh_networks_say_zero_and_learn_in_every_layer(network):
    fresh = JointDenoiser(**SIZES)
    inputs = Inputs()
    assert all(not out.any() for out in inputs.run(fresh, 500, CLEAN))
    out = inputs.run(network, 500, CLEAN)
    loss = sum(side.square().sum() for side in out) + inputs.run(network, None, None)[0].sum()
    loss.backward()
    still = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


def _steps(step: int):
    return torch.full((2,), step), torch.tensor([True, True])
