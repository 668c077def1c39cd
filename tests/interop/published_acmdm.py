"""ACMDM's networks once more, as arithmetic on the tensors of a checkpoint by their names.

Channels first (batch, channels, frames, joints), as its authors have it; nothing of lead is used.
"""

import math
import re
from pathlib import Path

import torch

HEAD = 64


def read_listing(folder: Path, name: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a public checkpoint: lines such as ``x_embedder.weight (512, 4)``."""
    lines = (line.split(" ", 1) for line in (folder / f"{name}.txt").read_text().splitlines())
    return {name: tuple(int(n) for n in re.findall(r"\d+", shape)) for name, shape in lines}


def random_tensors(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, torch.Tensor]:
    """Matrices that keep the norm, norms of about one, biases that are no zeros."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in shapes.items():
        values = torch.randn(shape, generator=generator)
        if len(shape) > 1:
            values = values / math.sqrt(math.prod(shape[1:]))
        tensors[name] = (
            1 + 0.2 * values if "norm" in name else values * (1 if len(shape) > 1 else 0.2)
        )
    return tensors


def with_patch(shapes: dict[str, tuple[int, ...]], patch: int) -> dict[str, tuple[int, ...]]:
    """The listing of the flow, had it been made for another patch."""
    width = shapes["x_embedder.bias"][0]
    changed = {
        "x_embedder.weight": (width, 4, 1, patch),
        "final_layer.linear.weight": (4 * patch, width),
        "final_layer.linear.bias": (4 * patch,),
    }
    return {**shapes, **changed}


def silu(x):
    return x / (1 + torch.exp(-x))


class Autoencoder:
    """Every convolution is a sum over its taps of shifted frames."""

    def __init__(self, tensors):
        self.tensors = {name: tensor.double() for name, tensor in tensors.items()}

    def conv(self, name, x, dilation=1, stride=1):
        """Tap k of K reads the frame (K - stride - k) dilations back from the last of its step."""
        weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        taps, frames = weight.shape[2], x.shape[2]
        steps = frames // stride
        out = bias[None, :, None, None].expand(len(x), -1, steps, x.shape[3]).clone()
        for step in range(steps):
            for tap in range(taps):
                frame = stride * step + stride - 1 - (taps - 1 - tap) * dilation
                if frame >= 0:
                    out[:, :, step] += torch.einsum(
                        "oi,bij->boj", weight[:, :, tap, 0], x[:, :, frame]
                    )
        return out

    def block(self, name, x, dilation):
        return x + self.conv(f"{name}.conv2", silu(self.conv(f"{name}.conv1", silu(x), dilation)))

    def encode(self, x):
        """(batch, frames, joints, 3) -> (batch, tokens, joints, 4)."""
        x = self.conv("encoder.conv_in", x.double().permute(0, 3, 1, 2))
        for first in (1, 6):
            x = self.conv(f"encoder.model.{first}", x, stride=2)
            for place, dilation in enumerate((9, 3, 1)):
                x = self.block(f"encoder.model.{first + 1 + place}", x, dilation)
        return self.conv("encoder.conv_out", x).permute(0, 2, 3, 1)

    def decode(self, z):
        """(batch, tokens, joints, 4) -> (batch, frames, joints, 3)."""
        x = self.conv("decoder.conv_in", z.double().permute(0, 3, 1, 2))
        for first in (0, 4):
            for place, dilation in enumerate((9, 3, 1)):
                x = self.block(f"decoder.model.{first + place}", x, dilation)
            doubled = x.repeat_interleave(2, dim=2)
            x = self.conv(f"decoder.model.{first + 3}.conv", doubled)
        x = self.conv("decoder.conv_out2", silu(self.conv("decoder.conv_out1", x)))
        return x.permute(0, 2, 3, 1)


class Flow:
    """The velocity, row by row, over the real tokens of the row alone."""

    def __init__(self, tensors):
        self.tensors = {name: tensor.double() for name, tensor in tensors.items()}
        numbers = [int(name.split(".")[1]) for name in tensors if name.startswith("ACMDM")]
        self.layers = max(numbers) + 1
        self.patch = tensors["x_embedder.weight"].shape[3]

    def velocity(self, z, time, text, frames):
        """(frames, joints, 4), number, (512,) -> (frames, joints, 4) of the first ``frames``."""
        z = z[:frames].double()
        patches = z.shape[1] // self.patch
        kernel = self.tensors["x_embedder.weight"][:, :, 0]
        tokens = z.reshape(frames * patches, self.patch, 4)
        x = torch.einsum("tpc,ocp->to", tokens, kernel) + self.tensors["x_embedder.bias"]
        condition = self.time(time) + self.linear("y_embedder", text.double())
        turns = self.turns(len(x), 49 * patches)
        for layer in range(self.layers):
            x = self.block(f"ACMDMTransformer.{layer}", x, condition, turns)
        changes = self.linear("final_layer.adaLN_modulation.1", silu(condition))
        shift, scale = changes[: x.shape[1]], changes[x.shape[1] :]
        x = self.norm("final_layer.norm_final", x) * (1 + scale) + shift
        return self.linear("final_layer.linear", x).reshape(frames, patches * self.patch, 4)

    def time(self, time):
        angles = [time * math.exp(-math.log(10000) * place / 128) for place in range(128)]
        waves = [math.cos(angle) for angle in angles] + [math.sin(angle) for angle in angles]
        hidden = self.linear("t_embedder.mlp.0", torch.tensor(waves, dtype=torch.float64))
        return self.linear("t_embedder.mlp.2", silu(hidden))

    def turns(self, tokens, longest):
        """One complex number of length one for each place and pair of a head."""
        base = (math.floor(8 * longest / math.pi) // 100 + 1) * 100
        rates = torch.tensor([base ** -(pair / (HEAD // 2 - 1)) for pair in range(HEAD // 2)])
        angles = torch.arange(tokens)[:, None] * rates.double()
        return torch.polar(torch.ones_like(angles), angles)

    def block(self, name, x, condition, turns):
        width = x.shape[1]
        changes = self.linear(f"{name}.adaLN_modulation.1", silu(condition)).split(width)
        inner = self.norm(f"{name}.norm1", x) * (1 + changes[1]) + changes[0]
        x = x + changes[2] * self.attend(f"{name}.attn", inner, turns)
        inner = self.norm(f"{name}.norm2", x) * (1 + changes[4]) + changes[3]
        both = self.linear(f"{name}.mlp.w12", inner)
        half = both.shape[1] // 2
        mixed = silu(both[:, :half]) * both[:, half:]
        return x + changes[5] * self.linear(f"{name}.mlp.w3", mixed)

    def attend(self, name, x, turns):
        width = x.shape[1]
        query, key, value = self.linear(f"{name}.qkv", x).split(width, dim=1)
        out = []
        for head in range(width // HEAD):
            part = slice(HEAD * head, HEAD * (head + 1))
            q = self.turn(self.norm(f"{name}.q_norm", query[:, part]), turns)
            k = self.turn(self.norm(f"{name}.k_norm", key[:, part]), turns)
            weights = torch.exp(q @ k.T / math.sqrt(HEAD))
            out.append(weights / weights.sum(1, keepdim=True) @ value[:, part])
        return self.linear(f"{name}.proj", torch.cat(out, dim=1))

    def turn(self, x, turns):
        pairs = torch.complex(x[:, : HEAD // 2], x[:, HEAD // 2 :]) * turns
        return torch.cat([pairs.real, pairs.imag], dim=1)

    def norm(self, name, x):
        return self.tensors[f"{name}.weight"] * x / (x.square().mean(-1, True) + 1e-6).sqrt()

    def linear(self, name, x):
        return x @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"]
