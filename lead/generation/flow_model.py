"""MLA-Gen and ACMDM: a flow of latents that keep time, one for a few frames of motion."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from lead.core.errors import RequestError
from lead.core.freezing import freeze
from lead.core.masks import lengths_to_mask
from lead.core.runs import Run
from lead.core.seeding import make_generator
from lead.data.cache import NULL_TEXT
from lead.diffusion.flow_path import FlowPath
from lead.diffusion.flow_times import flow_times
from lead.diffusion.paths import find_path
from lead.diffusion.paths.linear import LINEAR
from lead.diffusion.samplers import find_solver
from lead.diffusion.sinks import SinkControl
from lead.generation.flow_coders import FlowCoder, TimedCoder, load_coder, load_flow_coder
from lead.generation.flow_sampling import FlowGuidance, sample_flow
from lead.generation.masked_words import draw_masked, masking, with_padding
from lead.generation.motion_model import (
    CodedModel,
    Sampling,
    Sentences,
    known_captions,
    latent_noise,
    load_text_encoder,
    padded,
)
from lead.generation.timeline import Windows, plan_windows, seam_frames
from lead.inversion.objectives import WEIGHTINGS, Noised, check_own_loss
from lead.models.flow_transformer import FlowTransformer

__all__ = ["FlowModel", "load", "load_coder"]

CALLS = {"heun": 2, "midpoint": 2, "dopri5": 6}
"""How often a solver asks for the velocity in a step, where it is more than once."""

OVERLAP = 0.4
"""Seconds on either side of a seam over which the windows of two sentences are blended."""


@dataclass(frozen=True, kw_only=True)
class FlowModel(CodedModel):
    """A flow with the coder, and the ``path`` from noise to data, that it was trained on."""

    title: ClassVar[str] = "flow"
    coder: FlowCoder
    flow: FlowTransformer
    path: FlowPath = LINEAR
    kept: tuple[Tensor, Tensor] | None = None  # latents (tokens, ...) and which of them (tokens,)

    @property
    def networks(self) -> tuple[nn.Module | None, ...]:
        """Flow, and all of the coder."""
        return self.flow, *self.coder.modules()

    @property
    def abilities(self) -> frozenset[str]:
        """Latents of each length are their own; those of a VAE hold no place, and can be joined."""
        some = {"timeline"} if isinstance(self.coder, TimedCoder) else set()
        return frozenset(some | {"rebuild", "learn_words", "keep_frames"})

    def prepared(self, precision: str = "fp32", compiled: bool = False) -> "FlowModel":
        """The same model, whose flow computes in ``precision``; fp32 is as it was trained.

        Weights that multiply in bf16 are turned to it once, not at every step: the same bits.
        """
        if compiled:
            raise RequestError("compiled=true is for diffusion runs: leave it out with a flow")
        flow = self.flow
        if precision == "bf16":
            flow = copy.deepcopy(flow)
            for module in flow.modules():
                if isinstance(module, nn.Linear):
                    module.to(torch.bfloat16)
        return replace(self, flow=flow, precision=precision)

    def check_sampling(self, sampling: Sampling) -> None:
        """RequestError for what no flow is sampled by."""
        find_solver(sampling.sampler)
        flow_times(sampling.steps, sampling.shift)
        _guidance(sampling)
        if sampling.masks_words:
            self.need("attention")
        if sampling.timesteps is not None:
            raise RequestError("sampling.timesteps are those of a diffusion: leave them out")

    def calls(self, sampling: Sampling) -> int:
        """About how often drawing a batch calls the flow: the adaptive solver chooses itself."""
        return sampling.steps * CALLS.get(sampling.sampler, 1)

    @torch.no_grad()
    def with_kept(self, features: np.ndarray, kept: np.ndarray) -> "FlowModel":
        """The same model, whose every clip has the frames of features (frames, F) that are kept.

        ``kept`` (frames,) is true there; frames that share a latent with one that is not are new.
        """
        x = torch.tensor(features, device=self.device)[None]
        z, _ = self.posterior(x, torch.ones_like(x[..., 0], dtype=torch.bool))
        frames = self.coder.latent_frame.frames
        whole = np.pad(kept, (0, -len(kept) % frames)).reshape(-1, frames).all(axis=1)
        return replace(self, kept=(z[0], torch.tensor(whole, device=self.device)))

    def decode_drawn(self, latents: Tensor, frames: Sequence[int], sampling: Sampling) -> Tensor:
        """As ever, but feet of kept frames stay where they are."""
        if self.kept is not None:
            sampling = replace(sampling, plant_feet=False)
        return super().decode_drawn(latents, frames, sampling)

    @torch.no_grad()
    def sample(
        self,
        texts: Sequence[str],
        frames: Sequence[int],
        seeds: Sequence[int],
        sampling: Sampling,
        *,
        project: bool = False,
        condition: Sentences | None = None,
    ) -> Tensor:
        """Latents (batch, tokens, joints, channels), zero past the tokens of each motion."""
        if project:
            self.need("project")
        read = self.embed([*texts, NULL_TEXT]) if condition is None else condition
        lengths = [self.coder.token_count(length) for length in frames]
        noise = self._noise(texts, seeds, lengths)
        lines = zip(texts, seeds, strict=True)
        chosen = [make_generator(seed, "masked word", line) for line, seed in lines]
        mask = lengths_to_mask(torch.tensor(lengths))
        return self._carry(noise, read[:-1], mask, sampling, chosen)

    def timeline_spans(self, frames: Sequence[int]) -> list[tuple[int, int]]:
        """First frame and the one behind the last of each sentence: seams are between latents."""
        return seam_frames(frames, self.coder.latent_frame.frames, self.frame_limits[0])

    @torch.no_grad()
    def sample_timeline(
        self, texts: Sequence[str], spans: Sequence[tuple[int, int]], seed: int, sampling: Sampling
    ) -> Tensor:
        """Latents (1, tokens, joints, channels), drawn in windows of each sentence, blended."""
        tokens = [
            self.coder.token_count(end) - self.coder.token_count(first) for first, end in spans
        ]
        longest = self.frame_limits[1] // self.coder.latent_frame.frames
        overlap = round(OVERLAP * self.fps / self.coder.latent_frame.frames)
        windows = plan_windows(tokens, longest, overlap)
        read = self.embed(texts)
        lines = [texts[sentence] for sentence in windows.sentences]
        chosen = [make_generator(seed, "masked word", line) for line in lines]
        noise = self._noise(["; ".join(texts)], [seed], [sum(tokens)])
        rows = [read[sentence] for sentence in windows.sentences]
        return self._carry(noise, rows, windows.mask, sampling, chosen, windows)

    def _noise(self, texts: Sequence[str], seeds: Sequence[int], lengths: Sequence[int]) -> Tensor:
        shape = (self.flow.joints, self.flow.channels)
        return latent_noise(texts, seeds, [(length, *shape) for length in lengths])

    def _carry(
        self,
        noise: Tensor,
        read: Sequence[Tensor],
        mask: Tensor,
        sampling: Sampling,
        chosen: Sequence[torch.Generator],
        windows: Windows | None = None,
    ) -> Tensor:
        """Noise along the flow; rows of ``read`` and ``mask`` are windows of it where there are."""
        text, word_mask = with_padding(*padded(read), sampling.sink_padding)
        device, guidance = text.device, _guidance(sampling)
        noise, flow = noise.to(device), self.flow
        if self.kept is not None:
            flow = _Keeping(self.flow, self.path, noise, *self.kept)
        word = draw_masked(word_mask, chosen) if sampling.sink_word == "random" else 0
        with (
            self.fast(device),
            masking(self.flow, sampling.sink_threshold, word, guidance.passes),
        ):
            return sample_flow(
                *(flow, noise, text),
                mask=mask.to(device),
                word_mask=word_mask,
                sampler=sampling.sampler,
                steps=sampling.steps,
                shift=sampling.shift,
                guidance=guidance,
                windows=None if windows is None else windows.to(device),
            ).float()

    def word_loss(
        self, batch: Noised, texts: Sequence[str], words: Mapping[str, Tensor], options: object
    ) -> Tensor:
        """|v - v_theta|^2, what the flow was trained with, mean over the latents of each row.

        A timestep counts from the least noise, as a diffusion's.
        """
        check_own_loss(options.objective)
        text, word_mask = padded(self.read(texts, words))
        time = 1 - (batch.timestep + 0.5) / self.noise_levels
        real = lengths_to_mask(self.coder.token_count(batch.mask.sum(1)))
        clean, drawn = (latents[:, : real.shape[1]] for latents in (batch.clean, batch.noise))
        z_t = self.path.at(clean, drawn, time)
        guess = self.flow(z_t, time, text, real, word_mask).float()
        wanted = self.path.velocity(clean, drawn, time)
        errors = ((guess - wanted) ** 2).mean(dim=(2, 3)) * real
        signal, noise = self.path.signal(time) ** 2, self.path.noise(time) ** 2
        weights = WEIGHTINGS[options.weighting](signal / (signal + noise))
        return errors.sum(1) / real.sum(1) * weights


class _Keeping(nn.Module):
    """A flow some of whose latents go straight from their noise to where they are wanted."""

    def __init__(self, flow: nn.Module, path: FlowPath, noise: Tensor, data: Tensor, kept: Tensor):
        super().__init__()
        tokens = min(noise.shape[1], len(data))
        self.flow, self.path, self.noise = flow, path, noise
        self.data, self.kept = torch.zeros_like(noise), torch.zeros_like(noise, dtype=torch.bool)
        self.data[:, :tokens] = data[:tokens]
        self.kept[:, :tokens] = kept[:tokens, None, None]

    def forward(self, z_t: Tensor, time: Tensor, *condition: Tensor | None) -> Tensor:
        """The flow's velocity, and their own for the kept latents; guidance asks for all twice."""
        twice = len(z_t) // len(self.noise)
        data, noise, kept = (torch.cat(twice * [x]) for x in (self.data, self.noise, self.kept))
        z_t = torch.where(kept, self.path.at(data, noise, time), z_t)
        return torch.where(
            kept, self.path.velocity(data, noise, time), self.flow(z_t, time, *condition)
        )


def _guidance(sampling: Sampling) -> FlowGuidance:
    control = None
    if sampling.sink_base is not None:
        of = (sampling.sink_base, sampling.sink_alpha, sampling.sink_soft, sampling.sink_memory)
        control = SinkControl(*of)
    scale, start = sampling.guidance_scale, sampling.guidance_start
    return FlowGuidance(scale, start, control, sampling.sink_words)


def load(run: Run) -> FlowModel:
    """Load a flow run with the run it stands on."""
    if run.stage != "flow":
        raise RequestError(f"{run.folder} is an {run.stage} run, which knows no text: name a flow")
    coder = load_flow_coder(run)
    run.options("flow")  # what a look tells, before anything large is read
    encoder, facts = load_text_encoder(run), run.record.dataset
    _, joints, channels = coder.latent_frame
    return FlowModel(
        coder=coder,
        skeleton=coder.skeleton,
        flow=freeze(run.load_part("flow", text_dim=encoder.dim, joints=joints, channels=channels)),
        text_encoder=encoder,
        fps=facts.fps,
        frame_limits=facts.frames,
        known_texts=known_captions(run, encoder.dim),
        path=_path_of(run),
    )


def _path_of(run: Run) -> FlowPath:
    """The path that a run was trained on; an imported one says nothing, and has ACMDM's."""
    stage = run.record.values.get("stage")
    module = stage.get("module") if isinstance(stage, dict) else None
    return find_path(module.get("path", "linear")) if isinstance(module, dict) else LINEAR
