"""Our names of tensors beside those of MLD and MotionLCM; all else about the networks is equal."""

from collections.abc import Mapping

from torch import Tensor, nn

from lead.core.errors import RequestError
from lead.core.runs import misfits

Names = Mapping[str, str]

VAE: Names = {
    "distribution_tokens": "vae.global_motion_token",
    "encoder_positions.": "vae.query_pos_encoder.",
    "decoder_positions.": "vae.query_pos_decoder.",
    "input_layer.": "vae.skel_embedding.",
    "output_layer.": "vae.final_layer.",
    "to_latent.": "vae.latent_pre.",
    "from_latent.": "vae.latent_post.",
    "": "vae.",
}
DENOISER: Names = {
    "time_embedding.0.": "denoiser.time_embedding.linear_1.",
    "time_embedding.2.": "denoiser.time_embedding.linear_2.",
    "guidance_layer.": "denoiser.time_embedding.cond_proj.",
    "text_layer.": "denoiser.emb_proj.1.",
    "positions.": "denoiser.query_pos.",
    "input_layer.": "denoiser.latent_pre.",
    "output_layer.": "denoiser.latent_post.",
    "": "denoiser.",
}
EVALUATOR: Names = {
    "text_encoder.": "t2m_textencoder.",
    "movement_encoder.": "t2m_moveencoder.",
    "motion_encoder.": "t2m_motionencoder.",
}
"""Beginnings of our names and of theirs; the first that fits counts."""

SHOWN = 30  # tensors that an error names


def published_name(name: str, names: Names) -> str:
    """What the other projects call our tensor ``name``."""
    ours = next(beginning for beginning in names if name.startswith(beginning))
    return names[ours] + name[len(ours) :]


def published_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Their shape of our tensor: learned positions have an axis for the batch, (500, 1, width)."""
    return (shape[0], 1, *shape[1:]) if name.endswith(".pe") else shape


def to_published(module: nn.Module, names: Names) -> dict[str, Tensor]:
    """The tensors of one of our modules under the published names, in the published shapes."""
    return {
        published_name(name, names): tensor.reshape(published_shape(name, tuple(tensor.shape)))
        for name, tensor in module.state_dict().items()
    }


def from_published(
    parts: list[tuple[nn.Module, Names]], tensors: Mapping[str, Tensor], where: str
) -> None:
    """Fill our modules; every tensor of ``tensors`` has to go to exactly one of theirs.

    Raises RequestError that lists all tensors that are missing, unexpected or of another shape.
    """
    wanted = {
        published_name(name, names): published_shape(name, tuple(own.shape))
        for module, names in parts
        for name, own in module.state_dict().items()
    }
    if problems := misfits(wanted, tensors):
        shown = sorted(problems)[:SHOWN]
        more = [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        raise RequestError(
            f"{where}: {len(problems)} tensors do not fit: {'; '.join([*shown, *more])}"
        )
    for module, names in parts:
        own = module.state_dict()
        module.load_state_dict(
            {name: tensors[published_name(name, names)].reshape(own[name].shape) for name in own}
        )
