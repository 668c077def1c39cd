"""lead generate run=RUN text="a person walks in a circle" [key=value ...] : text -> motion files.

run=RUN          a diffusion run (MLD) or a projector run (LEAD)
text="..."       the sentence; or prompts=FILE, one a line ("sentence # SECONDS" sets a length)
seconds=4        length of each clip
seed=1 count=3   three clips per sentence, of seeds 1, 2 and 3
project=BOOL     realign the latents by the projector; default: where the run has one
projector=RUN    a projector to use with a diffusion run
diffusion=RUN    a denoiser to use with a projector that was trained on a VAE alone
formats=[npz,gif]   npz | gif | webp | mp4 | png
output=DIR       default outputs/RUN-FIRST-WORDS; overwrite=true replaces it
sampling=S       ddim50 | ddpm1000; sampling.steps=10, sampling.guidance_scale=2, ...
device=auto      cpu | cuda
"""

import re
from collections.abc import Sequence
from pathlib import Path

from lead.cli.config import compose
from lead.cli.outputs import check_output
from lead.core.errors import RequestError, did_you_mean

MOST_CLIPS = 100_000  # of one call; they are held in memory
MOST_SECONDS = 1e6


def run(overrides: Sequence[str]) -> int:
    """Generate clips and write them with an index."""
    config = compose("generate", overrides)
    _check(config)
    prompts = _prompts(config)
    if len(prompts) * config["count"] > MOST_CLIPS:
        raise RequestError(
            f"{len(prompts)} x count={config['count']} clips are more than {MOST_CLIPS}: ask for "
            "fewer at once"
        )
    folder = _output_folder(config, prompts)
    _check_formats(config["formats"])

    from lead.cli.loading import choose_device, load_text_to_motion, make_sampling

    pipeline = load_text_to_motion(config).to(choose_device(config["device"]))
    project = config["project"]
    project = pipeline.projector is not None if project is None else project
    seeds = range(config["seed"], config["seed"] + config["count"])
    jobs = [
        (text, seed, round(seconds * pipeline.fps)) for text, seconds in prompts for seed in seeds
    ]
    motions = _generate(pipeline, jobs, make_sampling(config), project, config["batch_size"])
    _write(folder, motions, pipeline, config, project)
    print(f"{folder}: {len(motions)} clips; open {folder}/index.html")
    return 0


def _check(config: dict) -> None:
    """RequestError for values that no run could satisfy."""
    for key in ("count", "batch_size"):
        if config[key] < 1:
            raise RequestError(f"{key} must be at least 1, got {config[key]}")
    if not 0 <= config["seed"] < 2**63 - config["count"]:
        raise RequestError(f"seed must lie in 0..2^63-1, got {config['seed']}")
    if config["project"] is not None and not isinstance(config["project"], bool):
        raise RequestError(f"project takes true or false, got {config['project']!r}")
    if config["run"] is None:
        raise RequestError("generate needs run=RUN: a run that `lead train` made")


def _prompts(config: dict) -> list[tuple[str, float]]:
    """Each sentence with its length in seconds."""
    from lead.export.checks import plain_text

    seconds = _seconds(config["seconds"], "seconds")
    if (config["text"] is None) == (config["prompts"] is None):
        raise RequestError('give either text="a person walks forward" or prompts=FILE')
    if config["prompts"] is None:
        if not config["text"].strip():
            raise RequestError('text is empty: give a sentence, text="a person walks forward"')
        return [(plain_text("text", config["text"]), seconds)]
    path = Path(config["prompts"])
    prompts = []
    for number, line in enumerate(_lines(path), start=1):
        text, hash_sign, length = line.partition("#")
        if text.strip():
            place = f"{path}:{number}"
            length = _seconds(length, f"{place}: length") if hash_sign else seconds
            prompts.append((plain_text(f"{place}: the sentence", text.strip()), length))
    if not prompts:
        raise RequestError(f"prompts={path} holds no sentence: write one a line")
    return prompts


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise RequestError(f"prompts={path} is no file: give a text file, one sentence a line")
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise RequestError(f"prompts={path} is not a UTF-8 text file ({error})") from error


def _seconds(value: object, name: str) -> float:
    try:
        number = float(str(value).strip())
    except ValueError:
        number = 0.0
    if not 0 < number < MOST_SECONDS:
        raise RequestError(
            f"{name} must be a number of seconds above 0, got '{str(value).strip()}'"
        )
    return number


def _output_folder(config: dict, prompts: list[tuple[str, float]]) -> Path:
    words = re.sub(r"[^a-z0-9]+", "-", prompts[0][0].lower()).strip("-")[:40].strip("-")
    default = f"outputs/{Path(config['run']).resolve().name}-{words or 'motion'}"
    folder = Path(config["output"] or default)
    check_output(folder, "index.json", overwrite=config["overwrite"])
    return folder


def _check_formats(formats: Sequence[str]) -> None:
    from lead.export.formats import FORMATS

    if not formats:
        raise RequestError(f"formats is empty: choose of {', '.join(FORMATS)}")
    for name in formats:
        if name not in FORMATS:
            raise RequestError(f"unknown format '{name}': {did_you_mean(name, FORMATS)}")


def _generate(pipeline, jobs: list, sampling, project: bool, batch_size: int) -> list:
    from tqdm import tqdm

    order = sorted(range(len(jobs)), key=lambda place: jobs[place][2])
    motions: dict[int, object] = {}
    starts = range(0, len(order), batch_size)
    for start in tqdm(
        starts, desc="generate", unit="batch", disable=None if len(jobs) > 1 else True
    ):
        places = order[start : start + batch_size]
        texts, seeds, frames = zip(*(jobs[place] for place in places), strict=True)
        made = pipeline.generate(texts, frames, seeds, sampling, project=project)
        motions.update(zip(places, made, strict=True))
    return [motions[place] for place in range(len(jobs))]


def _write(folder: Path, motions: list, pipeline, config: dict, project: bool) -> None:
    from tqdm import tqdm

    from lead.core.files import atomic_folder
    from lead.export.contact_sheet import write_contact_sheet
    from lead.export.formats import export_motion
    from lead.export.index import IndexEntry, write_index
    from lead.export.motion_file import Motion

    sampling = config["sampling"]
    provenance = {
        "run": str(config["run"]),
        "project": str(project).lower(),
        "sampling": f"{sampling['sampler']} {sampling['steps']} x{sampling['guidance_scale']}",
    }
    with atomic_folder(folder, replace=config["overwrite"]) as temporary:
        entries = []
        for number, made in enumerate(tqdm(motions, desc="write", unit="clip", disable=None)):
            motion = Motion(
                made.joints,
                made.features,
                made.text,
                seed=made.seed,
                fps=pipeline.fps,
                skeleton=pipeline.skeleton.name,
                provenance=provenance,
            )
            files = {name: f"{number:03d}.{name}" for name in config["formats"]}
            for name, file in files.items():
                export_motion(motion, temporary / file, name)
            entries.append(IndexEntry(made.text, made.seed, motion.frames, pipeline.fps, files))
        if config["sheet"]:
            shown = [(made.joints, f"{made.text} (seed {made.seed})") for made in motions[:40]]
            write_contact_sheet(
                temporary / "sheet.png",
                shown,
                fps=pipeline.fps,
                parents=pipeline.skeleton.parents,
            )
        write_index(temporary, entries)
