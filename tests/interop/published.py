"""The published networks once more, written out as arithmetic on their tensors by name.

Sequence first (frames or tokens, batch, width), as their authors have it; nothing of lead is used.
"""

import math
from pathlib import Path

import torch

HEADS = 4


def read_listing(sample_data: Path, name: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a public checkpoint."""
    path = sample_data.parent / "reference" / "checkpoints" / f"{name}.txt"
    lines = (line.split() for line in path.read_text().splitlines())
    return {name: tuple(int(size) for size in shape.split("x")) for name, shape in lines}


def random_tensors(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, torch.Tensor]:
    """Numbers of the size that training leaves: matrices keep the norm, scales are about one."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in shapes.items():
        values = torch.randn(shape, generator=generator)
        if name.endswith("weight") and len(shape) > 1:
            values = values * 1.4 / math.sqrt(shape[1])
        elif "norm" in name and name.endswith("weight"):
            values = 1 + 0.2 * values
        elif name.endswith("bias"):
            values = 0.2 * values
        tensors[name] = values
    return tensors


class Published:
    """Functions of MLD and MotionLCM on one set of tensors."""

    def __init__(self, tensors: dict[str, torch.Tensor], relu_before_text: bool):
        self.tensors = {name: tensor.double() for name, tensor in tensors.items()}
        self.relu_before_text = relu_before_text

    def encode(self, features, lengths):
        """(batch, frames, F), lengths -> mu, logvar (tokens, batch, dim)."""
        batch, frames, _ = features.shape
        token = self.tensors["vae.global_motion_token"]
        x = self.linear("vae.skel_embedding", features.double().permute(1, 0, 2))
        sequence = torch.cat([token[:, None].expand(-1, batch, -1), x])
        hidden = torch.arange(frames)[None] >= torch.tensor(lengths)[:, None]
        hidden = torch.cat([torch.zeros(batch, len(token), dtype=torch.bool), hidden], 1)
        out = self.stack("vae.encoder", self.place("vae.query_pos_encoder", sequence), hidden)
        out = self.maybe("vae.latent_pre", out[: len(token)])
        return out[: len(token) // 2], out[len(token) // 2 :]

    def decode(self, z, lengths):
        """(tokens, batch, dim), lengths -> (batch, frames, F)."""
        memory = self.maybe("vae.latent_post", z.double())
        hidden = torch.arange(max(lengths))[None] >= torch.tensor(lengths)[:, None]
        queries = torch.zeros(max(lengths), z.shape[1], memory.shape[-1], dtype=torch.float64)
        queries = self.place("vae.query_pos_decoder", queries)
        out = self.linear("vae.final_layer", self.stack("vae.decoder", queries, hidden, memory))
        out[hidden.T] = 0
        return out.permute(1, 0, 2)

    def denoise(self, sample, timestep, text, scale=None):
        """(batch, tokens, dim), (batch,), (batch, words, 768) -> (batch, tokens, dim)."""
        sample = self.maybe("denoiser.latent_pre", sample.double().permute(1, 0, 2))
        half = self.tensors["denoiser.time_embedding.linear_1.weight"].shape[1] // 2
        # Waves are float32 there, whatever the rest is, and so are their rounding errors.
        exponent = -math.log(10000) * torch.arange(half, dtype=torch.float32) / half
        angle = timestep[:, None].float() * exponent.exp()
        waves = torch.cat([angle.cos(), angle.sin()], 1).double()
        if scale is not None:
            weight = self.tensors["denoiser.time_embedding.cond_proj.weight"]
            half = weight.shape[1] // 2
            exponent = torch.log(torch.tensor(10000.0)) / (half - 1)
            frequency = torch.exp(torch.arange(half, dtype=torch.float32) * -exponent)
            angle = (1000.0 * (scale - 1))[:, None] * frequency
            waves = waves + torch.cat([angle.sin(), angle.cos()], 1).double() @ weight.T
        hidden = self.linear("denoiser.time_embedding.linear_1", waves)
        hidden = hidden * torch.sigmoid(hidden)
        time = self.linear("denoiser.time_embedding.linear_2", hidden)[None]
        words = text.double().permute(1, 0, 2)
        words = words.clamp(min=0) if self.relu_before_text else words
        sequence = torch.cat([sample, time, self.linear("denoiser.emb_proj.1", words)])
        out = self.stack("denoiser.encoder", self.place("denoiser.query_pos", sequence))
        return self.maybe("denoiser.latent_post", out[: len(sample)]).permute(1, 0, 2)

    def linear(self, name, x):
        return x @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"]

    def maybe(self, name, x):
        return self.linear(name, x) if f"{name}.weight" in self.tensors else x

    def place(self, name, x):
        return x + self.tensors[f"{name}.pe"][: len(x)]

    def norm(self, name, x):
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return scaled * self.tensors[f"{name}.weight"] + self.tensors[f"{name}.bias"]

    def attend(self, name, x, memory, hidden=None):
        """Attention of ``HEADS`` heads; keys that are ``hidden`` (batch, keys) get no weight."""
        width = x.shape[-1]
        weights = self.tensors[f"{name}.in_proj_weight"].split(width)
        biases = self.tensors[f"{name}.in_proj_bias"].split(width)
        q, k, v = (
            (source @ weight.T + bias).unflatten(-1, (HEADS, -1)).permute(1, 2, 0, 3)
            for source, weight, bias in zip((x, memory, memory), weights, biases, strict=True)
        )
        scores = q @ k.transpose(-1, -2) / math.sqrt(width // HEADS)
        if hidden is not None:
            scores = scores.masked_fill(hidden[:, None, None], -math.inf)
        out = (scores.softmax(-1) @ v).permute(2, 0, 1, 3).flatten(2)
        return self.linear(f"{name}.out_proj", out)

    def layer(self, name, x, hidden, memory):
        """Post-norm: each part is added, then normalised."""
        x = self.norm(f"{name}.norm1", x + self.attend(f"{name}.self_attn", x, x, hidden))
        last = "norm2"
        if memory is not None:
            x = self.norm(f"{name}.norm2", x + self.attend(f"{name}.multihead_attn", x, memory))
            last = "norm3"
        inner = self.linear(f"{name}.linear1", x)
        inner = inner * 0.5 * (1 + torch.erf(inner / math.sqrt(2)))
        return self.norm(f"{name}.{last}", x + self.linear(f"{name}.linear2", inner))

    def stack(self, name, x, hidden=None, memory=None):
        """Four layers, one, four; the last four read the first four again, last first."""
        seen = []
        for place in range(4):
            x = self.layer(f"{name}.input_blocks.{place}", x, hidden, memory)
            seen.append(x)
        x = self.layer(f"{name}.middle_block", x, hidden, memory)
        for place in range(4):
            x = self.linear(f"{name}.linear_blocks.{place}", torch.cat([x, seen.pop()], -1))
            x = self.layer(f"{name}.output_blocks.{place}", x, hidden, memory)
        return self.norm(f"{name}.norm", x)
