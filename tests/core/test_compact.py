"""Weights in few bits: how far they are from the original, and that they load as float32."""

import pytest
import torch
from torch import nn

from lead.core.compact import compact, restore
from lead.core.errors import RequestError, WorkError
from lead.core.files import write_tensors
from lead.core.runs import Run, fill


def weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "matrix": torch.randn(7, 33, generator=generator),
        "kernel": torch.randn(5, 3, 4, generator=generator) * 1e-3,
        "bias": torch.randn(7, generator=generator),
        "steps": torch.arange(6).view(2, 3),
    }


def test_half_precision_is_within_its_rounding() -> None:
    small = compact(weights())
    assert small["matrix"].dtype == small["kernel"].dtype == torch.float16
    for name, tensor in restore(small).items():
        own = weights()[name]
        assert tensor.dtype == own.dtype
        error = (tensor - own).abs()
        # 11 significant bits; below 2^-14 half precision counts in steps of 2^-24
        assert (error <= own.abs() * 2**-11 + 2**-25).all(), name


def test_8_bits_are_within_half_a_step_of_their_row() -> None:
    small = compact(weights(), bits=8)
    assert small["matrix.int8"].dtype == torch.int8
    whole = restore(small)
    assert set(whole) == set(weights())
    for name in ("matrix", "kernel"):
        own = weights()[name].flatten(1)
        step = own.abs().amax(dim=1, keepdim=True) / 127
        assert ((whole[name].flatten(1) - own).abs() <= step * 0.5001).all(), name
        assert whole[name].shape == weights()[name].shape


@pytest.mark.parametrize("bits", [16, 8])
def test_what_has_one_dimension_or_is_no_float_stays(bits) -> None:
    small = compact(weights(), bits)
    for name in ("bias", "steps"):
        assert torch.equal(small[name], weights()[name]) and small[name].dtype != torch.float16


def test_a_row_of_zeros_and_a_value_too_large_for_half() -> None:
    tensors = {"zeros": torch.zeros(2, 3), "large": torch.full((2, 2), 1e6)}
    for bits in (16, 8):
        whole = restore(compact(tensors, bits))
        assert torch.equal(whole["zeros"], tensors["zeros"])
        assert torch.equal(whole["large"], tensors["large"])


def test_other_bits_are_refused() -> None:
    with pytest.raises(RequestError, match="16 or 8"):
        compact(weights(), 4)


CODES, SCALE = torch.zeros(3, 4, dtype=torch.int8), torch.ones(3)


@pytest.mark.parametrize(
    ("codes", "scale"),
    [
        (torch.tensor(1, dtype=torch.int8), torch.tensor(1.0)),
        (torch.tensor(1, dtype=torch.int8), SCALE),
        (torch.zeros(3, dtype=torch.int8), SCALE),
        (CODES.float(), SCALE),
        (CODES.bool(), SCALE),
        (CODES, torch.tensor(1.0)),
        (CODES, torch.ones(4)),
        (CODES, torch.ones(3, 1)),
        (CODES, torch.ones(0)),
        (CODES, SCALE.long()),
        (CODES, SCALE.to(torch.complex64)),
        (CODES[:0], SCALE),
    ],
    ids=lambda tensor: f"{tensor.dtype} {tuple(tensor.shape)}",
)
def test_codes_and_scales_that_do_not_belong_together_name_their_file(tmp_path, codes, scale):
    path = tmp_path / "weights" / "part.safetensors"
    write_tensors(path, {"layer.int8": codes, "layer.row_scale": scale, "bias": torch.zeros(3)})
    with pytest.raises(WorkError, match="layer is no packed matrix") as error:
        Run(tmp_path).tensors("part")
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_what_only_looks_packed_stays_as_it_is():
    alone = {"layer.int8": CODES, "other.row_scale": SCALE}
    assert restore(alone).keys() == alone.keys()


@pytest.mark.parametrize("bits", [16, 8])
def test_a_run_loads_packed_weights_as_float32(tmp_path, bits) -> None:
    layer = nn.Linear(4, 3)
    write_tensors(tmp_path / "weights" / "part.safetensors", compact(layer.state_dict(), bits))
    loaded = Run(tmp_path).tensors("part")
    assert {tensor.dtype for tensor in loaded.values()} == {torch.float32}
    other = nn.Linear(4, 3)
    fill(other, loaded, "here")
    assert torch.allclose(other.weight, layer.weight, atol=0.01)
    assert not torch.equal(other.weight, layer.weight)
