"""lead generate text="a person walks forward" [run=RUN] [key=value ...] : text -> motion files.

run=RUN          a diffusion run (MLD) or a projector run (LEAD); default: the starter model,
                 checkpoints/starter or $LEAD_STARTER
text="..."       the sentence; or prompts=FILE, one a line ("sentence # SECONDS" sets a length)
seconds=4        length of each clip
seed=1 count=3   three clips per sentence, of seeds 1, 2 and 3
project=BOOL     realign the latents by the projector; default: where the run has one
projector=RUN    a projector to use with a diffusion run
diffusion=RUN    a denoiser to use with a projector that was trained on a VAE alone
words=[A,B]      files of learned words (`lead invert`), such as <zombie>, for use in sentences;
                 those that the run has in its own folder words/ need not be named
formats=[npz,gif]   npz | gif | webp | mp4 | png | bvh | glb | html (one player for all clips)
format=html      the same as formats=[npz,html]
clean_feet=true  stop feet from sliding, and say by how much that changes the motion
output=DIR       default outputs/RUN-FIRST-WORDS; overwrite=true replaces it
sampling=S       ddim50 | ddpm1000; for a distilled run lcm1 (its default) | lcm2 | lcm4
sampling.KEY=V   steps, guidance_scale, timesteps, eta
device=auto      cpu | cuda
profile=true     say at the end where the time went
precision=fp32   fp32 | bf16 | auto (bf16 where the processor has it; joints move by 1 mm)
compiled=true    have torch compile the networks first: half a minute, then faster for each batch
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from lead.cli.loading import compose_for_run
from lead.cli.outputs import CLIPS, output_folder
from lead.cli.starter import word_files
from lead.cli.stopwatch import Stopwatch
from lead.cli.values import read_number
from lead.core.errors import RequestError, did_you_mean
from lead.core.files import atomic_folder, last_name
from lead.core.reading import plain_text, read_text

MOST_CLIPS = 100_000  # of one call; they are held in memory


def run(overrides: Sequence[str]) -> int:
    """Generate clips and write them with an index."""
    watch = Stopwatch()
    config = compose_for_run("generate", overrides)
    if config["run"] is None:
        raise RequestError("generate needs run=RUN: a run that `lead train` made")
    prompts = _prompts(config)
    folder, formats = _output_name(config, prompts), _formats(config)
    with output_folder(folder, CLIPS, overwrite=config["overwrite"]):
        watch.lap("read options")
        return _make(config, prompts, folder, formats, watch)


def _make(config: dict, prompts: list, folder: Path, formats: list[str], watch: Stopwatch) -> int:
    from lead.generation.loading import load_for_inference, make_sampling, with_words

    words = _read_words(config, prompts)
    watch.lap("load libraries")
    pipeline = with_words(load_for_inference(config), words)
    watch.lap("load the run")
    sampling, project = make_sampling(config, pipeline), config["project"]
    project = pipeline.projector is not None if project is None else project
    asked = [(text, round(seconds * pipeline.fps)) for text, seconds in prompts]
    pipeline.check(*zip(*asked, strict=True), project=project)
    remarks = _remarks(pipeline, [text for text, _ in prompts])
    seeds = range(config["seed"], config["seed"] + config["count"])
    jobs = [(text, seed, frames) for text, frames in asked for seed in seeds]
    watch.lap("compare sentences")
    motions = _generate(pipeline, jobs, sampling, project, config["batch_size"], watch.lap)
    clips = _as_motions(motions, pipeline, config, project, remarks)
    if config["clean_feet"]:
        from lead.studies.feet import with_clean_feet

        clips, remark = with_clean_feet(clips)
        print(remark)
    _write(folder, clips, formats, config, remarks)
    print(f"{folder}: {len(motions)} clips; open {folder}/index.html")
    watch.lap("write files")
    if config["profile"]:
        print(watch.breakdown())
    return 0


def _prompts(config: dict) -> list[tuple[str, float]]:
    """Each sentence with its length in seconds."""
    if (config["text"] is None) == (config["prompts"] is None):
        raise RequestError('give either text="a person walks forward" or prompts=FILE')
    if config["prompts"] is None:
        if not config["text"].strip():
            raise RequestError('text is empty: give a sentence, text="a person walks forward"')
        return [(config["text"], config["seconds"])]
    path, prompts = Path(config["prompts"]), []
    for number, line in enumerate(read_text(path, "prompts=").split("\n"), start=1):
        text, hash_sign, length = line.partition("#")
        if text.strip():
            place = f"{path}:{number}"
            seconds = config["seconds"]
            if hash_sign:
                seconds = read_number("seconds", length, f"{place}: length in seconds")
            prompts.append((plain_text(f"{place}: the sentence", text.strip()), seconds))
        if len(prompts) * config["count"] > MOST_CLIPS:
            raise RequestError(
                f"count={config['count']} x the sentences of {path} make more than {MOST_CLIPS} "
                "clips: ask for fewer at once"
            )
    if not prompts:
        raise RequestError(f"prompts={path} holds no sentence: write one a line")
    return prompts


def _read_words(config: dict, prompts: list[tuple[str, float]]) -> list:
    """The learned words of words=, each of which some sentence has to use."""
    from lead.cli.loading import split_list
    from lead.inversion import read_word
    from lead.models.text_encoders.learned_words import check_taught, words_in

    words = [read_word(path) for path in split_list(config["words"])]
    used = dict.fromkeys(word for text, _ in prompts for word in words_in(text))
    for word in words:
        if word.word not in used:
            raise RequestError(f"{word.word} stands in no sentence: write it where it belongs")
    untaught = [name for name in used if name not in {word.word for word in words}]
    words += [read_word(path) for path in word_files(config["run"], untaught)]
    for text, _ in prompts:
        check_taught(text, [word.word for word in words])
    return words


def _remarks(pipeline, texts: list[str]) -> dict[str, str]:
    """What to say about sentences far from the training captions; said once on stderr, too."""
    remarks = {text: remark for text, remark in pipeline.remarks(texts).items() if remark}
    if remarks:
        first, remark = next(iter(remarks.items()))
        others = f"; so are {len(remarks) - 1} more" if len(remarks) > 1 else ""
        print(f"lead: note: '{first:.80}' is {remark}{others}", file=sys.stderr)
    return remarks


def _output_name(config: dict, prompts: list[tuple[str, float]]) -> Path:
    words = re.sub(r"[^a-z0-9]+", "-", prompts[0][0].lower()).strip("-")[:40].strip("-")
    default = f"outputs/{last_name(config['run'])}-{words or 'motion'}"
    return Path(config["output"] or default)


def _formats(config: dict) -> list[str]:
    """What to write of each clip."""
    from lead.export.formats import FORMATS

    formats = config["formats"]
    if config["format"] is not None:
        formats = ["npz", str(config["format"])]
    if not formats:
        raise RequestError(f"formats is empty: choose of {', '.join(FORMATS)}")
    for name in formats:
        if name not in FORMATS:
            raise RequestError(f"unknown format '{name}': {did_you_mean(name, FORMATS)}")
    return list(dict.fromkeys(formats))


def _generate(pipeline, jobs: list, sampling, project: bool, batch_size: int, lap) -> list:
    from tqdm import tqdm

    order = sorted(range(len(jobs)), key=lambda place: jobs[place][2])
    motions: dict[int, object] = {}
    starts = range(0, len(order), batch_size)
    for start in tqdm(
        starts, desc="generate", unit="batch", disable=None if len(jobs) > 1 else True
    ):
        places = order[start : start + batch_size]
        texts, seeds, frames = zip(*(jobs[place] for place in places), strict=True)
        made = pipeline.generate(texts, frames, seeds, sampling, project=project, lap=lap)
        motions.update(zip(places, made, strict=True))
    return [motions[place] for place in range(len(jobs))]


def _as_motions(motions: list, pipeline, config: dict, project: bool, remarks: dict) -> list:
    """The generated clips as motion files have them, with where they come from."""
    from lead.export.motion_file import Motion

    sampling = config["sampling"]
    provenance = {
        "run": str(config["run"]),
        "project": str(project).lower(),
        "sampling": f"{sampling['sampler']} {sampling['steps']} x{sampling['guidance_scale']}",
        "precision": config["precision"],
    }
    if config["words"]:
        provenance["words"] = config["words"]
    return [
        Motion(
            made.joints,
            made.features,
            made.text,
            seed=made.seed,
            fps=pipeline.fps,
            skeleton=pipeline.skeleton.name,
            provenance=provenance
            | ({"remark": remarks[made.text]} if made.text in remarks else {}),
        )
        for made in motions
    ]


def _write(
    folder: Path, motions: list, formats: list[str], config: dict, remarks: dict[str, str]
) -> None:
    from tqdm import tqdm

    from lead.export.contact_sheet import write_contact_sheet
    from lead.export.formats import PAGES, export_motion
    from lead.export.index import IndexEntry, write_index
    from lead.representation import get_skeleton

    pages = {name: f"player.{name}" for name in formats if name in PAGES}
    with atomic_folder(folder, replace=config["overwrite"]) as temporary:
        for name, file in pages.items():
            PAGES[name](temporary / file, motions)
        entries = []
        for number, motion in enumerate(tqdm(motions, desc="write", unit="clip", disable=None)):
            files = {name: f"{number:03d}.{name}" for name in formats if name not in pages}
            for name, file in files.items():
                export_motion(motion, temporary / file, name)
            facts = (motion.text, motion.seed, motion.frames, motion.fps, files | pages)
            entries.append(IndexEntry(*facts, remarks.get(motion.text, "")))
        if config["sheet"]:
            shown = [(clip.joints, f"{clip.text} (seed {clip.seed})") for clip in motions[:40]]
            write_contact_sheet(
                temporary / "sheet.png",
                shown,
                fps=motions[0].fps,
                parents=get_skeleton(motions[0].skeleton).parents,
            )
        write_index(temporary, entries)
