"""lead evaluate run=RUN [key=value ...] : physical measures of real, rebuilt and generated clips.

run=RUN          any run; a vae run is measured by its reconstructions alone
dataset=DIR      prepared dataset; default datasets/NAME of the run's data
split=test       which split
clips=N          measure N clips drawn with the seed; 0 (default): all
projector=RUN    a projector to measure with a diffusion run
diffusion=RUN    a denoiser to measure with a projector that was trained on a VAE alone
seed=1           of the drawn clips, captions and latents
output=FILE      default: metrics.json in the run directory
sampling=S, device=D, batch_size=N   as for `lead generate`
"""

from collections.abc import Sequence
from pathlib import Path

from lead.cli.config import compose
from lead.cli.outputs import check_output_file
from lead.core.errors import RequestError


def run(overrides: Sequence[str]) -> int:
    """Measure a run and print the table."""
    config = compose("evaluate", overrides)
    if config["run"] is None:
        raise RequestError("evaluate needs run=RUN: a run that `lead train` made")
    if config["batch_size"] < 1 or config["clips"] < 0:
        raise RequestError("batch_size takes a number from 1 up, clips one from 0 (all) up")

    from lead.core.runs import Run
    from lead.data.packed import open_dataset

    named = Run(Path(config["run"]))
    name, skeleton = named.entry("dataset", "name"), named.entry("dataset", "skeleton")
    output = Path(config["output"] or named.folder / "metrics.json")
    check_output_file(output)
    dataset = open_dataset(config["dataset"] or f"datasets/{name}")
    if dataset.skeleton.name != skeleton:
        raise RequestError(
            f"{dataset.folder} has skeleton '{dataset.skeleton.name}', {named.folder} was trained "
            f"on '{skeleton}': name a dataset of that skeleton"
        )
    clips = _choose_clips(dataset, config)
    rows = _measure(named, dataset, clips, config)
    _report(named, dataset, clips, rows, config, output)
    return 0


def _choose_clips(dataset, config: dict) -> list[tuple[int, str]]:
    """Places of the clips to measure, with one caption each, drawn by the seed."""
    import numpy as np

    from lead.core.seeding import derive_seed

    split = dataset.split(config["split"])
    rng = np.random.default_rng(derive_seed(config["seed"], "evaluate"))
    count = config["clips"] or len(split)
    places = np.sort(rng.permutation(len(split))[:count]).tolist()
    return [(place, str(rng.choice(split.captions[place]))) for place in places]


def _measure(named, dataset, clips: list, config: dict) -> dict:
    """Rows of the table: name -> measures."""
    from copy import deepcopy

    from lead.cli.loading import choose_device, load_text_to_motion
    from lead.core.freezing import freeze
    from lead.evaluation.physical import summary
    from lead.generation.pipeline import load_normalizer
    from lead.representation import features_to_joints

    split = dataset.split(config["split"])
    skeleton = dataset.skeleton
    real = [features_to_joints(split.clip(place), skeleton.name) for place, _ in clips]
    rows = {"real": summary(real, dataset.fps, skeleton)}
    device = choose_device(config["device"])
    if named.stage == "vae":
        normalizer = load_normalizer(named, skeleton.features)
        vae = freeze(named.load_part("vae")).to(device)
        rebuilt = _rebuild(vae, normalizer, dataset, clips, config)
        rows["VAE reconstruction"] = summary(rebuilt, dataset.fps, skeleton, real)
        return rows
    pipeline = load_text_to_motion(config).to(device)
    rebuilt = _rebuild(pipeline.vae, deepcopy(pipeline.normalizer), dataset, clips, config)
    rows["VAE reconstruction"] = summary(rebuilt, dataset.fps, skeleton, real)
    variants = {"generated (MLD)": False}
    if pipeline.projector is not None:
        rebuilt = _rebuild(
            pipeline.vae, deepcopy(pipeline.normalizer), dataset, clips, config, pipeline.projector
        )
        rows["VAE + projector reconstruction"] = summary(rebuilt, dataset.fps, skeleton, real)
        variants["generated (LEAD)"] = True
    for name, project in variants.items():
        made = _generate(pipeline, split, clips, config, project)
        rows[name] = summary(made, dataset.fps, skeleton)
    return rows


def _rebuild(vae, normalizer, dataset, clips: list, config: dict, projector=None) -> list:
    """Joints of each clip after encoding (posterior mean) and decoding.

    ``normalizer`` is the run's: the data set may be another than the one it was trained on.
    """
    import torch
    from tqdm import tqdm

    from lead.data.clips import length_sorted_batches, pad_clips
    from lead.representation import features_to_joints

    split = dataset.split(config["split"])
    normalizer = normalizer.cpu()
    device = next(vae.parameters()).device
    lengths = [int(split.frames[place]) for place, _ in clips]
    joints: list = [None] * len(clips)
    batches = length_sorted_batches(lengths, config["batch_size"])

    def as_read(place: int):
        return normalizer.normalize(torch.tensor(split.clip(place))).numpy()

    for rows in tqdm(batches, desc="rebuild", unit="batch", disable=None):
        batch = pad_clips([(str(row), as_read(clips[row][0])) for row in rows]).to(device)
        with torch.no_grad():
            z, _ = vae.encode(batch.x, batch.mask)
            z = projector(z) if projector is not None else z
            x = vae.decode(z, batch.mask).float().cpu()
        for place, row in enumerate(rows):
            features = normalizer.denormalize(x[place, : lengths[row]])
            joints[row] = features_to_joints(features, dataset.skeleton.name).numpy()
    return joints


def _generate(pipeline, split, clips: list, config: dict, project: bool) -> list:
    """Joints of one generated clip per caption, as long as the real clip."""
    from tqdm import tqdm

    from lead.cli.loading import make_sampling
    from lead.data.clips import length_sorted_batches

    low, high = pipeline.frame_limits
    lengths = [min(max(int(split.frames[place]), low), high) for place, _ in clips]
    sampling = make_sampling(config)
    joints: list = [None] * len(clips)
    batches = length_sorted_batches(lengths, config["batch_size"])
    for rows in tqdm(batches, desc=f"generate project={project}", unit="batch", disable=None):
        made = pipeline.generate(
            [clips[row][1] for row in rows],
            [lengths[row] for row in rows],
            [config["seed"] + row for row in rows],
            sampling,
            project=project,
        )
        for row, motion in zip(rows, made, strict=True):
            joints[row] = motion.joints
    return joints


def _report(named, dataset, clips: list, rows: dict, config: dict, output: Path) -> None:
    from dataclasses import asdict

    from lead.core.files import write_json
    from lead.evaluation.physical import COLUMNS
    from lead.evaluation.table import format_table
    from lead.training.environment import environment

    write_json(
        output,
        {
            "run": str(config["run"]),
            "split": config["split"],
            "clips": len(clips),
            "sampling": config["sampling"],
            "data_hash": dataset.data_hash,
            "weights": named.weights_hash(named.trained_part),
            "environment": environment(config["seed"]),
            "rows": {
                name: {key: asdict(value) for key, value in row.items()}
                for name, row in rows.items()
            },
        },
    )
    print(f"{dataset.folder} {config['split']}: {len(clips)} clips, mean ± 95 % over clips\n")
    print(format_table(rows, COLUMNS))
    print(f"written: {output}")
