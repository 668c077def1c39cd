"""MoTe's MTDM: train the noise of motions and sentences in every context, jointly and apart."""

from typing import Annotated

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from lead.core.batches import LatentBatch
from lead.core.building import build
from lead.core.schema import ClosedSchema, Name
from lead.data.packed import PackedDataset
from lead.diffusion.forward import add_noise
from lead.diffusion.schedules import NoiseSchedule
from lead.models.joint_denoiser import CLEAN, Side
from lead.training.earlier_runs import earlier_run
from lead.training.joint_inputs import JointInputs
from lead.training.losses import mean_square
from lead.training.optimization import Share, Weight
from lead.training.processes import share_of_batch
from lead.training.randomness import StepDraws
from lead.training.stage import Prepared, Stage, StageOptions, TrainRequest

NOISED, GIVEN, NONE = range(3)
"""What a modality is in a context: what is learned, a condition, or not there."""

CONTEXTS = {
    "joint": (NOISED, NOISED),
    "motion_from_text": (NOISED, GIVEN),
    "text_from_motion": (GIVEN, NOISED),
    "motion_alone": (NOISED, NONE),
    "text_alone": (NONE, NOISED),
}
"""Each context: what motion is, and what text is."""


class Shares(ClosedSchema):
    """How often each context is drawn, of all rows; together one."""

    joint: Share = 0.1
    motion_from_text: Share = 0.4
    text_from_motion: Share = 0.3
    motion_alone: Share = 0.1
    text_alone: Share = 0.1

    @model_validator(mode="after")
    def _are_whole(self) -> "Shares":
        if abs(sum(self.in_order()) - 1) > 1e-6:
            raise ValueError(f"the shares of contexts sum to {sum(self.in_order()):g}, not to 1")
        return self

    def in_order(self) -> list[float]:
        """The shares in the order of CONTEXTS."""
        return [getattr(self, name) for name in CONTEXTS]


class JointDiffusionOptions(StageOptions):
    """Contexts, the weight of text, noise on it, and the entry of configs/sampling."""

    contexts: Shares = Shares()
    text_weight: Weight = 1.0
    sampling: Name | None = None
    text_noise: Annotated[float, Field(ge=0, le=10)] = 0.0


class JointDiffusionStage(Stage):
    """Noise prediction for both modalities, each at a timestep of its own.

    A context is drawn for each row. Where a modality is a condition it is clean (timestep -1), with
    ``text_noise`` of a text's own deviation; where it is not there, it is the learned empty token
    or pure noise at the last timestep, as the network's ``empty`` says. The loss is the mean over
    the motion's real tokens, where motion is noised, and ``text_weight`` times that over the
    text's: neither has more weight for having more tokens.
    """

    options_type = JointDiffusionOptions
    purpose = "joint diffusion"

    def __init__(
        self,
        joint_denoiser: nn.Module,
        schedule: NoiseSchedule,
        options: JointDiffusionOptions,
        seed: int = 0,
    ):
        super().__init__(options, seed)
        self.joint_denoiser, self.schedule = joint_denoiser, schedule

    @classmethod
    def set_up(
        cls, request: TrainRequest[JointDiffusionOptions], dataset: PackedDataset
    ) -> Prepared:
        """A network for the latents of the runs that ``vae`` and ``text_autoencoder`` name."""
        named = "vae=RUN and text_autoencoder=RUN"
        motions, sentences = (
            earlier_run(request, key, dataset, named) for key in ("vae", "text_autoencoder")
        )
        with torch.random.fork_rng():  # filling a cache draws random numbers
            inputs = JointInputs(request, dataset, motions, sentences)
            data = inputs.data()
        tokens, dim = inputs.sentence_shape
        sizes = {"sentence_tokens": tokens, "sentence_dim": dim, "text_dim": inputs.encoder.dim}
        description = {
            **request.models["joint_denoiser"],
            **{"channels": data.train.latents.shape[-1], **sizes, **inputs.scales},
        }
        network = build("joint_denoiser", description, "model.joint_denoiser")
        schedule = build("schedule", request.models["schedule"], "model.schedule")
        parts = {"joint_denoiser": description, "schedule": request.models["schedule"]}
        module = cls(network, schedule, request.options, request.seed)
        return inputs.prepared(module, data, parts, motions, sentences)

    def losses(self, batch: LatentBatch, index: int | None) -> dict[str, Tensor]:
        """In training a context for each row; in validation motion from text, and the reverse."""
        draws = self.draws(index)
        if index is None:
            edges = torch.tensor(self.options.contexts.in_order()).cumsum(0)[:-1]
            drawn = draws.uniform((len(batch.ids),))
            context = torch.bucketize(drawn, edges.to(drawn.device), right=True)
            terms = dict(zip(("motion", "text"), self._losses(batch, context, draws), strict=True))
        else:
            terms = {}
            for term, name in enumerate(("motion_from_text", "text_from_motion")):
                which = list(CONTEXTS).index(name)
                context = torch.full((len(batch.ids),), which, device=self.device)
                terms[name] = self._losses(batch, context, self.draws(index))[term]
        motion, text = terms.values()
        return {**terms, "loss": motion + self.options.text_weight * text}

    def _losses(
        self, batch: LatentBatch, context: Tensor, draws: StepDraws
    ) -> tuple[Tensor, Tensor]:
        """The mean squared errors of motion's noise and of text's, where each is noised."""
        what = torch.tensor([*CONTEXTS.values()], device=context.device)[context]
        z, noise = batch.mu, draws.latents(batch)
        of_text = draws.normal(batch.sentence.shape)
        sentence = batch.sentence
        if self.training and self.options.text_noise:
            near = self.options.text_noise * draws.normal(sentence.shape)
            sentence = sentence + near * (what[:, 1] == GIVEN)[:, None, None]
        motion = self._side(z, noise, what[:, 0], draws, batch.mask)
        text = self._side(sentence, of_text, what[:, 1], draws, None)
        guess, of_sentence = self.joint_denoiser(motion, text, batch.text, batch.word_mask)
        real = batch.mask & (what[:, 0] == NOISED)[:, None]
        told = (what[:, 1] == NOISED)[:, None].expand(-1, sentence.shape[1])
        return (
            mean_square(guess, noise, real) * share_of_batch(real.sum()),
            mean_square(of_sentence, of_text, told) * share_of_batch(told.sum()),
        )

    def _side(
        self, clean: Tensor, noise: Tensor, what: Tensor, draws: StepDraws, mask: Tensor | None
    ) -> Side:
        """One modality as each row's context has it; a timestep is drawn whether used or not."""
        steps = self.schedule.num_train_timesteps
        timestep = draws.integers(steps, (len(clean),))
        noised = add_noise(clean, noise, timestep, self.schedule)
        rows = what[:, None, None]
        z = torch.where(rows == NOISED, noised, torch.where(rows == GIVEN, clean, noise))
        timestep = torch.where(
            what == NOISED, timestep, torch.where(what == GIVEN, CLEAN, steps - 1)
        )
        given = (what != NONE) | (self.joint_denoiser.empty == "noise")
        return Side(z, timestep, given, mask)
