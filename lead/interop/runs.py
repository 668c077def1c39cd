"""Imported models as run directories, which every command takes like those that lead trained."""

from dataclasses import dataclass
from pathlib import Path

from lead.core.errors import RequestError, did_you_mean
from lead.core.files import atomic_folder, content_hash, write_json
from lead.core.reading import read_floats
from lead.core.run_record import SCHEMA_VERSION
from lead.core.runs import Run
from lead.data.packed import open_dataset
from lead.data.sources.humanml3d import HumanML3DSource
from lead.data.sources.kitml import KitMlSource
from lead.evaluation.extractor.official import load_official_parts, weights_file
from lead.evaluation.extractor.parts import STAGE, judge_entry, keep_beside_weights
from lead.interop.acmdm import load_acmdm
from lead.interop.models import ForeignModels, load_mld, load_motionlcm
from lead.representation import get_skeleton
from lead.representation.normalizer import Normalizer
from lead.training.environment import environment

DATASETS = {
    "humanml3d": HumanML3DSource,
    "kit": KitMlSource,
    "kitml": KitMlSource,
}
LONGEST = 196  # frames that the published models were trained with
SCHEDULE = {
    "_target_": "noise_schedule",
    "name": "scaled_linear",
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
}


@dataclass(frozen=True)
class Origin:
    """Where imported models come from."""

    project: str
    checkpoint: Path
    dataset: str

    def __post_init__(self) -> None:
        if self.dataset not in DATASETS:
            hint = did_you_mean(self.dataset, DATASETS)
            raise RequestError(f"unknown dataset '{self.dataset}': {hint}")

    def record(self) -> dict:
        """What run.json keeps of it; the data set's contents are not known."""
        data = DATASETS[self.dataset]
        return {
            "schema": SCHEMA_VERSION,
            "status": "imported",
            "step": 0,
            "imported": {
                "project": self.project,
                "checkpoint": self.checkpoint.name,
                "sha256": content_hash(self.checkpoint),
            },
            "dataset": {
                "name": data.name,
                "data_hash": None,
                "skeleton": data.skeleton,
                "fps": data.fps,
                "licence": data.licence,
                "frames": [data.min_frames, LONGEST],
            },
            "values": {},
        }


def import_diffusion(
    origin: Origin, output: Path, text_encoder: dict, statistics: Normalizer, overwrite: bool
) -> tuple[Run, Run]:
    """Write ``output/vae`` and ``output/diffusion`` of an MLD or MotionLCM checkpoint.

    ``text_encoder`` describes the encoder that it was trained with, ``statistics`` how its motions
    were normalised. Raises RequestError where the file does not fit.
    """
    models, sampling = _load(origin)
    with atomic_folder(output, replace=overwrite) as folder:
        vae, diffusion = Run(folder / "vae"), Run(folder / "diffusion")
        vae.save_part("vae", models.vae.state_dict())
        vae.save_part("normalizer", statistics.state_dict())
        described = {"vae": models.descriptions["vae"]}
        vae.update(stage="vae", **origin.record(), parts=described, parents={})
        diffusion.save_part("denoiser", models.denoiser.state_dict())
        diffusion.update(
            stage="diffusion",
            **origin.record(),
            parts={"denoiser": models.descriptions["denoiser"], "schedule": SCHEDULE},
            parents={"vae": vae.as_parent(diffusion.folder)},
            text_encoder=text_encoder,
            text_fingerprint=None,
            sampling=sampling,
        )
        for run in (vae, diffusion):
            write_json(run.folder / "environment.json", environment(0))
    return Run(output / "vae"), Run(output / "diffusion")


def import_flow(
    origin: Origin,
    autoencoder: Path,
    output: Path,
    text_encoder: dict,
    statistics: tuple[Normalizer, Normalizer],
    overwrite: bool,
) -> tuple[Run, Run]:
    """Write ``output/autoencoder`` and ``output/flow`` of ACMDM's two checkpoints.

    ``origin`` is the flow's, ``statistics`` are those of positions and of latents. Errors as for
    ``import_diffusion``, and where the two do not fit.
    """
    if DATASETS[origin.dataset] is not HumanML3DSource:
        raise RequestError("ACMDM was published for humanml3d alone: leave dataset out")
    models = load_acmdm(autoencoder, origin.checkpoint)
    inner, flow_part = models.autoencoder, models.flow
    if flow_part.channels != inner.channels:
        raise RequestError(
            f"{origin.checkpoint} works on {flow_part.channels} channels, {autoencoder} has "
            f"{inner.channels}: name the auto-encoder that it was trained on"
        )
    of_positions, of_latents = statistics
    inner.latent_shift.copy_(of_latents.mean)
    inner.latent_scale.copy_(of_latents.std)
    first = Origin(origin.project, autoencoder, origin.dataset)
    with atomic_folder(output, replace=overwrite) as folder:
        below, flow = Run(folder / "autoencoder"), Run(folder / "flow")
        below.save_part("autoencoder", inner.state_dict())
        below.save_part("normalizer", of_positions.state_dict())
        described = {"autoencoder": models.descriptions["autoencoder"]}
        below.update(stage="autoencoder", **first.record(), parts=described, parents={})
        flow.save_part("flow", flow_part.state_dict())
        flow.update(
            stage="flow",
            **origin.record(),
            parts={"flow": models.descriptions["flow"]},
            parents={"autoencoder": below.as_parent(flow.folder)},
            text_encoder=text_encoder,
            text_fingerprint=None,
            sampling="dopri5",
        )
        for run in (below, flow):
            write_json(run.folder / "environment.json", environment(0))
    return Run(output / "autoencoder"), Run(output / "flow")


def find_flow_statistics(
    autoencoder: Path, positions: tuple[str | None, str | None]
) -> tuple[Normalizer, Normalizer]:
    """How ACMDM's positions (3 coordinates) and latents (4 channels) were normalised.

    The latents' mean and deviation stand beside the checkpoint or one folder above, under their
    published names; so do the positions' (three numbers each) unless two files are named. Raises
    RequestError where they do not, and for arrays that are no such statistics.
    """

    def find(name: str) -> Path:
        for folder in (autoencoder.parent, autoencoder.parent.parent):
            if (folder / name).is_file():
                return folder / name
        raise RequestError(f"{name} is not beside {autoencoder}: it comes with ACMDM, put it there")

    def read(names: tuple[Path | str, Path | str], width: int) -> Normalizer:
        return Normalizer(*(read_floats(name, (width,), "get it from ACMDM") for name in names))

    where = positions if positions[0] else (find("22x3_mean.npy"), find("22x3_std.npy"))
    latents = (find(f"AE_2D_Causal_Post_{name}.npy") for name in ("Mean", "Std"))
    return read(where, 3), read(tuple(latents), 4)


def _load(origin: Origin) -> tuple[ForeignModels, str]:
    """The models, and the entry of configs/sampling that they were made for."""
    if origin.project == "mld":
        return load_mld(origin.checkpoint, origin.dataset), "ddim50"
    if DATASETS[origin.dataset] is not HumanML3DSource:
        raise RequestError("MotionLCM was published for humanml3d alone: leave dataset out")
    models = load_motionlcm(origin.checkpoint)
    return models, "lcm1" if models.vae.latent_tokens == 1 else "lcm1_skip100"


def import_evaluator(origin: Origin, output: Path, overwrite: bool) -> Run:
    """Write the published text-to-motion evaluator as a run of stage ``evaluator``.

    The checkpoint is ``finest.tar`` beside its statistics and word vectors, or their folder.
    """
    parts = load_official_parts(origin.checkpoint, origin.dataset)
    weights = Origin(
        *(origin.project, weights_file(origin.checkpoint, origin.dataset), origin.dataset)
    )
    count, dim = parts.words.vectors.shape
    described = {
        "extractor": {"_target_": "t2m_extractor", "features": parts.extractor.features},
        "words": {"_target_": "word_vectors", "words": count, "dim": dim},
    }
    with atomic_folder(output, replace=overwrite) as folder:
        run = Run(folder)
        run.save_part("extractor", parts.extractor.state_dict())
        run.save_part("words", parts.words.state_dict())
        keep_beside_weights(folder, parts.normalizer, parts.vocabulary)
        run.update(
            stage=STAGE,
            **weights.record(),
            parts=described,
            parents={},
            judge=judge_entry(parts.name, parts.tagger),
        )
        write_json(folder / "environment.json", environment(0))
    return Run(output)


def find_statistics(dataset: str, mean: str | None, std: str | None) -> Normalizer:
    """Mean and deviation from two ``.npy`` files, else from the prepared data set.

    Raises RequestError where there is neither, and for arrays that are no statistics of it.
    """
    source = DATASETS[dataset]
    if mean is None or std is None:
        folder = Path("datasets") / source.name
        if not (folder / "manifest.json").is_file():
            raise RequestError(
                f"how motions were normalised is not in the checkpoint: name mean=Mean.npy "
                f"std=Std.npy of {source.name}, or prepare it first (lead prepare "
                f"data={source.name})"
            )
        return open_dataset(folder).normalizer
    width = get_skeleton(source.skeleton).features
    advice = f"name mean=FILE std=FILE of {source.name}"
    return Normalizer(*(read_floats(path, (width,), advice) for path in (mean, std)))
