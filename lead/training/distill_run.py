"""Stage ``distill``: from resolved values to module, data and what a run keeps."""

from pathlib import Path

from lead.core.building import build
from lead.core.errors import RequestError
from lead.core.freezing import freeze
from lead.data.packed import PackedDataset
from lead.training.latent_inputs import earlier_run, latent_module, latent_sources
from lead.training.stage_module import make_stage_module


def distill_stage(values: dict, dataset: PackedDataset, folder: Path) -> tuple:
    """Module, data, record and preparation of the stage, for ``train_stage``.

    Model, schedule and text encoder are the teacher's; the student begins with its weights.
    """
    run, options = earlier_run(values, "teacher", dataset), values["stage"]
    vae_run, schedule = run.ancestor("vae"), run.build_part("schedule")
    vae = vae_run.options("vae")
    sizes = {"latent_tokens": vae["latent_tokens"], "latent_dim": vae["latent_dim"]}
    timesteps = schedule.num_train_timesteps
    teacher = freeze(run.load_part("denoiser", timesteps=timesteps, **sizes))
    if teacher.embeds_guidance:
        raise RequestError(f"{run.folder} is distilled already: name the run that it learned from")
    if options["guidance_dim"] == 0:
        raise RequestError("stage.guidance_dim is 0: the student needs the guidance as an input")
    values = {**values, "text_encoder": run.record.text_encoder}
    posteriors, embed, encoder = latent_sources(vae_run, values)
    if run.record.text_fingerprint not in (None, encoder.fingerprint):
        raise RequestError(
            f"{run.folder} was trained with another '{encoder.name}' text encoder than the one "
            "found here: put the same weights in place"
        )
    changes = {"guidance_dim": options["guidance_dim"], "dropout": options["dropout"]}
    description = {**run.description("denoiser"), **changes}
    student = build("denoiser", description, "stage")
    student.load_state_dict(teacher.state_dict(), strict=False)  # all but the guidance layer
    parts = {"denoiser": student, "teacher": teacher, "schedule": schedule}
    module = make_stage_module(values, **parts)
    record = {
        "parts": {"denoiser": description, "schedule": run.description("schedule")},
        "parents": {"diffusion": run.as_parent(folder)},
        "text_encoder": values["text_encoder"],
        "text_fingerprint": encoder.fingerprint,
        "sampling": values["stages"]["distill"].get("sampling", options["sampling"]),
    }
    return module, latent_module(values, dataset, posteriors, embed, encoder), record, _nothing


def _nothing() -> None:
    """A distilled run keeps nothing beside its weights."""
