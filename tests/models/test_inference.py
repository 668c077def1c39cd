"""Networks prepared for inference: the numbers of the trained ones, and less work."""

from collections import Counter, defaultdict

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from lead.core.errors import RequestError
from lead.core.freezing import freeze
from lead.core.masks import lengths_to_mask
from lead.models.denoiser import MldDenoiser
from lead.models.inference import prepare
from lead.models.inference.linear import PackedLinear
from lead.models.inference.transformer import FastEncoderLayer
from lead.models.projector import BODIES, Projector
from lead.models.vae import MotionVAE

SIZES = {"width": 32, "layers": 3, "heads": 2, "feed_forward": 48}
ROWS, TEXT = 3, 10
TIMES = [981, 501, 1]


def randomized(module: nn.Module) -> nn.Module:
    """Every parameter random, so that nothing is hidden behind a zero."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    return freeze(module)


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)))


def close(got: torch.Tensor, wanted: torch.Tensor, relative: float = 1e-4) -> None:
    assert got.shape == wanted.shape and got.dtype == wanted.dtype
    assert (got - wanted).abs().max() < relative * wanted.abs().max()


def denoisers() -> dict[str, nn.Module]:
    return {
        "mld": MldDenoiser(12, TEXT, **SIZES),
        "mld-same-width": MldDenoiser(32, TEXT, **SIZES),
        "mld-one-layer": MldDenoiser(12, TEXT, **{**SIZES, "layers": 1}),
        "mld-distilled": MldDenoiser(12, TEXT, guidance_dim=8, **SIZES),
    }


@pytest.mark.parametrize("name", denoisers())
def test_a_bound_denoiser_predicts_what_the_trained_one_does(name):
    denoiser = randomized(denoisers()[name])
    dim = 32 if name == "mld-same-width" else 12
    z, text = draw(ROWS, 2, dim), draw(ROWS, 1, TEXT)
    text[2] = text[0]  # a repeated sentence
    scale = 7.5 if name.endswith("distilled") else None
    scales = None if scale is None else torch.full((ROWS,), scale)
    fast = prepare(denoiser)
    assert fast.embeds_guidance is denoiser.embeds_guidance
    predict = fast.bind(text, [*TIMES, TIMES[-1]], tokens=2, guidance_scale=scale)
    for time in TIMES:
        steps = torch.full((ROWS,), time)
        wanted = denoiser(z, steps, text, scales)
        close(predict(z, steps), wanted)
        close(fast(z, steps, text, scales), wanted)
        rounded = prepare(denoiser, "bf16").bind(text, TIMES, tokens=2, guidance_scale=scale)
        close(rounded(z, steps), wanted, 0.1)


def test_text_of_another_width_is_refused_when_bound():
    with pytest.raises(RequestError, match="text embeddings are 9 wide"):
        prepare(freeze(denoisers()["mld"])).bind(draw(ROWS, 1, 9), TIMES, tokens=2)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("tokens", [1, 2])
@pytest.mark.parametrize("extra", [{}, {"latent_dim": 8}])
def test_the_vae_is_the_trained_one(tokens, extra, precision):
    vae = randomized(MotionVAE(7, tokens, **{"latent_dim": 32, **SIZES, **extra}))
    fast = prepare(vae, precision)
    x, mask = draw(ROWS, 20, 7), lengths_to_mask(torch.tensor([20, 9, 13]))
    within = 1e-4 if precision == "fp32" else 0.1
    for got, wanted in zip(fast.encode(x, mask), vae.encode(x, mask), strict=True):
        close(got, wanted, within)
    z = vae.encode(x, mask)[0]
    close(fast.decode(z, mask), vae.decode(z, mask), within)
    whole = torch.ones(ROWS, 20, dtype=torch.bool)
    close(fast.decode(z, whole), vae.decode(z, whole), within)


@pytest.mark.parametrize("kind", BODIES)
def test_the_projector_is_the_trained_one(kind):
    projector = randomized(Projector(12, TEXT, kind, **SIZES))
    for tokens in (1, 3):
        close(prepare(projector)(draw(ROWS, tokens, 12)), projector(draw(ROWS, tokens, 12)))


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("rows", "tokens"), [(4, 3), (80, 3), (5, 60), (2, 9)])
@pytest.mark.parametrize(
    ("dtype", "within"), [(torch.float32, 1e-5), (torch.bfloat16, 0.1)], ids=["fp32", "bf16"]
)
def test_attention_of_every_shape(rows, tokens, dtype, within, padded):
    """Few and many, short and long sequences: a processor has two forms for them."""
    layer = nn.TransformerEncoderLayer(32, 2, 48, 0.0, nn.functional.gelu, batch_first=True)
    layer = randomized(layer)
    x, mask = draw(rows, tokens, 32), None
    real = torch.ones(rows, tokens, dtype=torch.bool)
    if padded:
        real = lengths_to_mask(1 + torch.arange(rows) % tokens, tokens)
        mask = ~real
    ours = FastEncoderLayer(layer, dtype)(x, src_key_padding_mask=mask).float()
    # torch's own inference path is another one: the trained layer is asked with gradients
    wanted = layer(x.requires_grad_(), src_key_padding_mask=mask).detach()
    close(ours[real], wanted[real], within)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("rows", [2, 80])
def test_a_transformer_is_one_graph_for_the_compiler(rows, precision):
    """A break in it returns to Python at every layer; few and many rows attend in two forms."""
    denoiser = randomized(MldDenoiser(32, TEXT, **SIZES))
    encoder, other = (prepare(denoiser, precision).denoiser.encoder for _ in range(2))
    x = draw(rows, 3, 32)
    torch.compiler.reset()
    whole = torch.compile(other, backend="eager", fullgraph=True, dynamic=False)
    state = torch.get_rng_state()
    with torch.no_grad():
        for kept in (None, 1):
            close(whole(x, kept=kept), encoder(x, kept=kept), 1e-5 if precision == "fp32" else 0.1)
    assert torch.equal(torch.get_rng_state(), state)  # nothing is drawn


@pytest.mark.parametrize("rows", [(6, 8, 1), (8, 6, 1, 4, 8), (1, 8, 6, 1), (4, 4)], ids=str)
@pytest.mark.parametrize("following", ["none", "relu", "gelu"])
def test_a_packed_map_is_the_plain_one(following, rows):
    """Whichever number of rows came first and chose how weights lie."""
    weight, bias = draw(6, 5), draw(6)
    packed = PackedLinear(weight, bias, following=following)
    for count in rows:
        x, residual = draw(count, 5), draw(count, 6)
        wanted = nn.functional.linear(x, weight, bias)
        if following != "none":
            wanted = getattr(nn.functional, following)(wanted)
        close(packed(x), wanted)
        close(packed(x[None])[0], wanted)
        if following == "none":
            close(packed.add_to(residual, x), residual + wanted)
    packed.packed, packed.few, packed.weight = None, (-1, None), weight
    packed._was_called = True  # where there is no layout
    close(packed(x), wanted)


@torch.no_grad()
@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="torch without MKL")
@pytest.mark.parametrize(("rows", "tokens"), [(1, 4), (2, 4), (4, 3)])
def test_one_motion_is_multiplied_by_rows_in_fours(rows, tokens):
    """Three tokens of one motion, guided or not, get a fourth that nobody reads."""
    denoiser = randomized(MldDenoiser(32, TEXT, **SIZES))
    z, steps, text = draw(rows, 1, 32), torch.full((rows,), 501), draw(rows, 1, TEXT)
    predict = prepare(denoiser).bind(text, TIMES, tokens=1)
    with Calls() as bound:
        close(predict(z, steps), denoiser(z, steps, text))
    first = {rows * tokens, rows} - {1}  # the last layer computes one token of each motion
    assert bound.rows["mkl::_mkl_linear"] == first


def test_another_precision_is_one_line():
    with pytest.raises(RequestError, match=r"^unknown precision 'fp16'[^\n]*$"):
        prepare(nn.Linear(2, 2), "fp16")


def test_a_layer_of_another_kind_is_left_as_it_is():
    layer = nn.TransformerEncoderLayer(32, 2, 48, norm_first=True, batch_first=True)
    kept = prepare(nn.Sequential(freeze(layer)))[0]
    assert isinstance(kept, nn.TransformerEncoderLayer)
    close(kept(draw(ROWS, 3, 32)), layer(draw(ROWS, 3, 32)))


class Calls(TorchDispatchMode):
    """Counts the operations that reach the backend."""

    def __init__(self):
        super().__init__()
        self.counted, self.rows = Counter(), defaultdict(set)

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation._schema.name
        self.counted[name] += 1
        if name.endswith("_linear"):
            self.rows[name].add(args[0].shape[:-1].numel())
        return operation(*args, **(kwargs or {}))


def products(counted: Counter) -> int:
    """Matrix products by weights, whoever computes them."""
    wanted = ("aten::addmm", "aten::mm", "aten::linear", "aten::mv", "aten::addmv")
    wanted += ("mkldnn::_linear_pointwise", "mkl::_mkl_linear")
    return sum(counted[name] for name in wanted)


@torch.no_grad()
def test_a_step_does_four_products_a_layer_and_nothing_of_time_and_text():
    denoiser = randomized(MldDenoiser(32, TEXT, **SIZES))
    z, steps, text = draw(ROWS, 1, 32), torch.full((ROWS,), 501), draw(ROWS, 1, TEXT)
    predict = prepare(denoiser).bind(text, TIMES, tokens=1)
    with Calls() as bound:
        predict(z, steps)
    joins = 1
    assert products(bound.counted) == 4 * SIZES["layers"] + joins
    assert bound.counted["aten::sin"] == bound.counted["aten::exp"] == 0
    assert sum(bound.counted.values()) < 45 * SIZES["layers"]


@torch.no_grad()
def test_one_token_needs_no_attention():
    projector = prepare(randomized(Projector(12, TEXT, **SIZES)))
    with Calls() as one:
        projector(draw(ROWS, 1, 12))
    assert not [name for name in one.counted if "attention" in name or "softmax" in name]
    assert products(one.counted) == 2 * (3 * SIZES["layers"] + 2)
