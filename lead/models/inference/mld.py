"""MLD's denoiser over a whole sampling run."""

from collections.abc import Callable

import torch
from torch import Tensor

from lead.models.inference.bound import FastDenoiser, Timeline


class FastMldDenoiser(FastDenoiser):
    """An MldDenoiser whose layers were prepared for inference.

    The last layer computes the latent tokens alone, because nothing else is read. ``in_fours`` is
    for products of libraries: compiled ones are made for the rows that there are.
    """

    in_fours = True

    def _bound(
        self, text_embedding: Tensor, timeline: Timeline, time: Tensor, tokens: int
    ) -> Callable[[Tensor, Tensor], Tensor]:
        own = self.denoiser
        words = own.text_tokens(text_embedding)
        positions = own.positions(time.new_zeros(1, tokens + 1 + words.shape[1], time.shape[1]))[0]
        dtype = own.encoder.dtype
        first, middle = positions[:tokens], (time + positions[tokens]).to(dtype)
        words = (words + positions[tokens + 1 :]).to(dtype)
        ignored = None
        if self.in_fours and tokens + words.shape[1] == 2:
            words, ignored = _in_fours(words)

        def predict(z_t: Tensor, timestep: Tensor) -> Tensor:
            moment = middle[timeline.place(timestep)].expand(len(z_t), 1, -1)
            latent = (own.input_layer(z_t) + first).to(dtype)
            sequence = torch.cat([latent, moment, words], dim=1)
            out = own.encoder(sequence, kept=tokens, src_key_padding_mask=ignored)
            return own.output_layer(out).to(z_t.dtype)

        return predict


def _in_fours(words: Tensor) -> tuple[Tensor, Tensor | None]:
    """A second word for each of ``words`` (rows, 1, width), and a mask by which nobody reads it.

    A processor multiplies the four tokens of one motion, guided or not, faster than its three.
    """
    if len(words) > 2 or words.device.type != "cpu" or words.dtype != torch.float32:
        return words, None
    ignored = torch.tensor([[0, 0, 0, -torch.inf]]).expand(len(words), 4)
    return torch.cat([words, torch.zeros_like(words)], dim=1), ignored
