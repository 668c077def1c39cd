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


def run(overrides: Sequence[str]) -> int:
    """Generate clips and write them with an index."""
    config = compose("generate", overrides)
    prompts = _prompts(config)
    folder = _output_folder(config, prompts)
    _check_formats(config["formats"])

    from lead.cli.loading import choose_device, load_text_to_motion, make_sampling

    pipeline = load_text_to_motion(config).to(choose_device(config["device"]))
    project = config["project"]
    project = pipeline.projector is not None if project is None else bool(project)
    seeds = range(int(config["seed"]), int(config["seed"]) + int(config["count"]))
    jobs = [
        (text, seed, round(seconds * pipeline.fps)) for text, seconds in prompts for seed in seeds
    ]
    motions = _generate(pipeline, jobs, make_sampling(config), project, config["batch_size"])
    _write(folder, motions, pipeline, config, project)
    print(f"{folder}: {len(motions)} clips; open {folder}/index.html")
    return 0


def _prompts(config: dict) -> list[tuple[str, float]]:
    from lead.core.errors import RequestError

    seconds = _positive(config["seconds"], "seconds")
    _positive(config["count"], "count")
    _positive(config["batch_size"], "batch_size")
    if config["text"] is not None and config["prompts"] is None:
        if not str(config["text"]).strip():
            raise RequestError('text is empty: give a sentence, text="a person walks forward"')
        return [(str(config["text"]), seconds)]
    if config["prompts"] is None or config["text"] is not None:
        raise RequestError('give either text="a person walks forward" or prompts=FILE')
    path = Path(config["prompts"])
    if not path.is_file():
        raise RequestError(f"prompts={path} does not exist: give a text file, one sentence a line")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise RequestError(f"prompts={path} is not a UTF-8 text file ({error})") from error
    prompts = []
    for number, line in enumerate(lines, start=1):
        text, hash_sign, length = line.partition("#")
        if not text.strip():
            continue
        prompts.append(
            (text.strip(), _positive(length, f"{path}:{number}: length") if hash_sign else seconds)
        )
    if not prompts:
        raise RequestError(f"prompts={path} holds no sentence: write one a line")
    return prompts


def _positive(value: object, name: str) -> float:
    from lead.core.errors import RequestError

    try:
        number = float(str(value).strip())
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise RequestError(f"{name} must be a positive number, got '{value}'")
    return number


def _output_folder(config: dict, prompts: list[tuple[str, float]]) -> Path:
    from lead.core.errors import RequestError
    from lead.core.files import make_folder

    if config["run"] is None:
        raise RequestError("generate needs run=RUN: a run that `lead train` made")
    words = re.sub(r"[^a-z0-9]+", "-", prompts[0][0].lower()).strip("-")[:40].strip("-")
    default = f"outputs/{Path(config['run']).resolve().name}-{words or 'motion'}"
    folder = Path(config["output"] or default)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not config["overwrite"]):
        raise RequestError(f"{folder} exists: name another output=DIR, or overwrite=true")
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise RequestError(f"{existing} is a file, so {folder} cannot be written: output=DIR")
    make_folder(existing)
    return folder


def _check_formats(formats: Sequence[str]) -> None:
    from lead.core.errors import RequestError, did_you_mean
    from lead.export.formats import FORMATS

    for name in formats:
        if name not in FORMATS:
            raise RequestError(f"unknown format '{name}': {did_you_mean(name, FORMATS)}")


def _generate(pipeline, jobs: list, sampling, project: bool, batch_size: int) -> list:
    from tqdm import tqdm

    order = sorted(range(len(jobs)), key=lambda place: jobs[place][2])
    motions: dict[int, object] = {}
    starts = range(0, len(order), int(batch_size))
    for start in tqdm(
        starts, desc="generate", unit="batch", disable=None if len(jobs) > 1 else True
    ):
        places = order[start : start + int(batch_size)]
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
