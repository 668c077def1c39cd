"""Stage 2 for few steps of training: noise prediction by a conditioned residual MLP."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from lead.core.errors import RequestError
from lead.core.sizes import Dropout, GuidanceDim, Layers, Scale, Size, Timesteps
from lead.models.blocks.preconditioning import Preconditioning
from lead.models.denoiser import NoisePredictor


class MlpDenoiser(NoisePredictor):
    """Noise prediction by residual blocks that time and text scale and shift (adaLN of DiT).

    Where the latent is one token, attention has nothing to choose between, and a wide MLP learns
    faster than MLD's transformer. The network stands inside ``Preconditioning``, which is fitted to
    the training latents before training; ``timesteps`` are those of the noise schedule. Several
    words are averaged. ``text_scale`` multiplies the text vector: sentence encoders give unit
    vectors. ``guidance_dim`` > 0 makes the guidance scale an input (see MldDenoiser).
    """

    def __init__(
        self,
        latent_dim: Size,
        text_dim: Size,
        latent_tokens: Size = 1,
        width: Size = 768,
        layers: Layers = 4,
        condition_dim: Size = 384,
        dropout: Dropout = 0.0,
        text_scale: Scale = 1.0,
        timesteps: Timesteps = 1000,
        guidance_dim: GuidanceDim = 0,
    ):
        super().__init__()
        self.text_dim, self.text_scale, self.time_waves = text_dim, text_scale, 256
        self.latent_tokens, self.latent_dim = latent_tokens, latent_dim
        self.preconditioning = Preconditioning(timesteps, latent_dim)
        self.time_embedding = nn.Sequential(
            nn.Linear(self.time_waves, condition_dim),
            nn.SiLU(),
            nn.Linear(condition_dim, condition_dim),
        )
        self.text_layer = nn.Linear(text_dim, condition_dim)
        self.input_layer = nn.Linear(latent_tokens * latent_dim, width)
        self.blocks = nn.ModuleList(
            _ConditionedBlock(width, condition_dim, dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.output_layer = nn.Linear(width, latent_tokens * latent_dim)
        nn.init.zeros_(self.output_layer.weight)
        nn.init.zeros_(self.output_layer.bias)
        self.guidance_layer = self._guidance_layer(guidance_dim)

    def forward(
        self,
        z_t: Float[Tensor, "batch tokens dim"],
        timestep: Int[Tensor, " batch"],
        text_embedding: Float[Tensor, "batch words text_dim"],
        guidance_scale: Float[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch tokens dim"]:
        """Predicted noise; the arguments and errors are those of MldDenoiser."""
        if z_t.shape[1:] != (self.latent_tokens, self.latent_dim):
            raise RequestError(
                f"latents are {tuple(z_t.shape[1:])}, the denoiser takes "
                f"({self.latent_tokens}, {self.latent_dim}): set model.denoiser.latent_tokens"
            )
        time = self.time_condition(timestep, z_t, guidance_scale)
        condition = nn.functional.silu(time + self.text_condition(text_embedding))
        x = self.input_layer(self.preconditioning.scale(z_t, timestep).flatten(1))
        for block in self.blocks:
            x = block(x, condition)
        correction = self.output_layer(self.norm(x)).view_as(z_t)
        return self.preconditioning.noise(correction, z_t, timestep)

    def text_condition(
        self, text_embedding: Float[Tensor, "batch words text_dim"]
    ) -> Float[Tensor, "batch condition"]:
        """What each sentence adds to the condition; RequestError for text of another width."""
        self.check_text(text_embedding)
        return self.text_layer(self.text_scale * text_embedding.mean(dim=1))


class _ConditionedBlock(nn.Module):
    """x + gate MLP(scale norm(x) + shift), all three from the condition, neutral at first."""

    def __init__(self, width: int, condition_dim: int, dropout: float):
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.condition = nn.Linear(condition_dim, 3 * width)
        self.expand = nn.Linear(width, 2 * width)
        self.dropout = nn.Dropout(dropout)
        self.contract = nn.Linear(2 * width, width)
        nn.init.zeros_(self.condition.weight)
        nn.init.zeros_(self.condition.bias)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        shift, scale, gate = self.condition(condition).chunk(3, dim=-1)
        hidden = self.expand(self.norm(x) * (1 + scale) + shift)
        hidden = self.dropout(nn.functional.gelu(hidden))
        return x + 0.5 * (1 + gate) * self.contract(hidden)
