"""Sentences -> clips -> a folder of files: the work of `lead generate`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from lead.core.errors import RequestError
from lead.core.files import atomic_folder, split_list
from lead.data.clips import length_sorted_batches
from lead.export.contact_sheet import write_contact_sheet
from lead.export.formats import PAGES, Manner, export_motion, export_together
from lead.export.index import IndexEntry, write_index
from lead.export.motion_file import Motion
from lead.generation.loading import InferenceRequest, load_for_inference, with_words
from lead.generation.motion_model import GeneratedMotion, MotionModel, Sampling
from lead.inversion import Word, read_word
from lead.models.text_encoders.learned_words import check_taught, words_in
from lead.studies.choosing import Choice, nearest
from lead.studies.continuing import Keeping, with_motion
from lead.studies.free import Free, free_clips
from lead.studies.timelines import Prompts, check_timeline, make_timelines

ON_SHEET = 40  # clips, the first ones

Say = Callable[[str], None]


class GenerateRequest(Keeping, Free, Choice, InferenceRequest):
    """How `lead generate` makes clips of its sentences, and what it writes beside them."""

    run: str
    timeline: str | None
    words: str | None
    project: bool | None
    count: int
    sheet: bool
    overwrite: bool
    manner: Manner


def generate_folder(
    prompts: Prompts,
    folder: Path,
    formats: list[str],
    request: GenerateRequest,
    *,
    lap: Say,
    say: Say,
    note: Say,
) -> None:
    """Make ``count`` clips of each sentence with its seconds, and write them with an index.

    ``lap`` is told the name of each part of the work, ``note`` what is odd about the sentences.
    """
    texts = [text for text, _ in prompts]
    words = _words_of(texts, request)
    lap("load libraries")
    model = with_words(load_for_inference(request), words)
    judge = request.judge(texts, request.timeline is None and not request.is_free)
    lap("load the run")
    sampling, project = request.sampling, request.project
    model.check_sampling(sampling)
    if project is None:
        project = model.can("project")
    model, frames = _frames(model, prompts, request, project)
    remarks = {} if request.is_free else _remarks(model, texts, note)
    seeds = range(request.seed, request.seed + request.count * request.best_of)
    lap("compare sentences")
    about = _provenance(request, project)
    if request.timeline is not None:
        clips, remark = make_timelines(model, prompts, seeds, sampling, about)
        say(remark)
        lap("draw the timeline")
    elif request.is_free:
        made = free_clips(model, frames[0], seeds, sampling, request)
        clips = [as_motion(motion, model, about) for motion in made]
    else:
        jobs = [(*asked, seed) for asked in zip(texts, frames, strict=True) for seed in seeds]
        clips = make_clips(
            *(model, *zip(*jobs, strict=True), sampling, project, request.batch_size),
            about=lambda text: about | ({"remark": remarks[text]} if text in remarks else {}),
            lap=lap,
            progress=len(jobs) > 1,
        )
        if judge is not None:
            clips = nearest(clips, request.best_of, judge)
            lap("choose clips")
    with atomic_folder(folder, replace=request.overwrite) as temporary:
        _write(temporary, clips, formats, remarks, request)
    say(f"{folder}: {len(clips)} clips; open {folder}/index.html")
    lap("write files")


def _frames(
    model: MotionModel, prompts: Prompts, request: GenerateRequest, project: bool
) -> tuple[MotionModel, list[int]]:
    """The model, with a motion to keep where one is named, and the frames of each sentence."""
    if request.timeline is not None:
        frames = check_timeline(model, prompts)
        if request.start is not None or request.keep is not None or project:
            raise RequestError("timeline= draws a motion anew: leave start, keep and project out")
        return model, frames
    if request.is_free:
        model.need("make")
        return model, [round(s * model.fps) for _, s in prompts]
    model, frames = with_motion(model, [round(s * model.fps) for _, s in prompts], request)
    model.check([text for text, _ in prompts], frames, project=project)
    return model, frames


def _remarks(model: MotionModel, texts: Sequence[str], note: Say) -> dict[str, str]:
    """What is odd about the sentences; the first of it is noted."""
    remarks = {text: remark for text, remark in model.remarks(texts).items() if remark}
    if remarks:
        first, remark = next(iter(remarks.items()))
        others = f"; so are {len(remarks) - 1} more" if len(remarks) > 1 else ""
        note(f"'{first:.80}' is {remark}{others}")
    return remarks


def make_clips(
    model: MotionModel,
    texts: Sequence[str],
    frames: Sequence[int],
    seeds: Sequence[int],
    sampling: Sampling,
    project: bool | None,
    batch_size: int,
    *,
    about: Callable[[str], Mapping[str, str]] = lambda _: {},
    lap: Say | None = None,
    progress: bool = False,
) -> list[Motion]:
    """A clip of each text, in their order; generated in batches of nearly equal lengths.

    ``about`` gives the provenance of a clip by its text.
    """
    made: list = [None] * len(texts)
    batches = length_sorted_batches(frames, batch_size)
    for rows in tqdm(batches, desc="generate", unit="batch", disable=None if progress else True):
        asked = ([of[row] for row in rows] for of in (texts, frames, seeds))
        motions = model.generate(*asked, sampling, project=project, lap=lap)
        for row, motion in zip(rows, motions, strict=True):
            made[row] = as_motion(motion, model, about(motion.text))
    return made


def as_motion(made: GeneratedMotion, model: MotionModel, provenance: Mapping[str, str]) -> Motion:
    """A clip that ``model`` made as motion files have it, with where it comes from."""
    return Motion(
        *(made.joints, made.features, made.text, made.seed),
        *(model.fps, model.skeleton.name, provenance),
    )


def _write(
    folder: Path,
    clips: list[Motion],
    formats: list[str],
    remarks: Mapping[str, str],
    request: GenerateRequest,
) -> None:
    """Each clip in each format, a sheet of pictures where asked for, and the index."""
    pages = {name: f"player.{name}" for name in formats if name in PAGES}
    for name, file in pages.items():
        export_together(clips, folder / file, name, request.manner)
    entries = []
    for number, clip in enumerate(tqdm(clips, desc="write", unit="clip", disable=None)):
        files = {name: f"{number:03d}.{name}" for name in formats if name not in pages}
        for name, file in files.items():
            export_motion(clip, folder / file, name, request.manner)
        facts = (clip.text, clip.seed, clip.frames, clip.fps, files | pages)
        entries.append(IndexEntry(*facts, remarks.get(clip.text, "")))
    if request.sheet:
        write_contact_sheet(
            folder / "sheet.png",
            [(clip.joints, f"{clip.text} (seed {clip.seed})") for clip in clips[:ON_SHEET]],
            fps=clips[0].fps,
            skeleton=clips[0].skeleton,
        )
    write_index(folder, entries)


def _words_of(texts: Sequence[str], request: GenerateRequest) -> list[Word]:
    """The learned words of words=, each of which some sentence has to use, and the run's own."""
    words = [read_word(path) for path in split_list(request.words)]
    used = dict.fromkeys(word for text in texts for word in words_in(text))
    for word in words:
        if word.word not in used:
            raise RequestError(f"{word.word} stands in no sentence: write it where it belongs")
    given = {word.word for word in words}
    names = dict.fromkeys(name.strip("<>").lower() for name in used if name not in given)
    files = [Path(request.run) / "words" / f"{name}.safetensors" for name in names]
    words += [read_word(file) for file in files if file.is_file()]
    for text in texts:
        check_taught(text, [word.word for word in words])
    return words


def _provenance(request: GenerateRequest, project: bool) -> dict[str, str]:
    sampling = request.sampling
    about = {
        "run": request.run,
        "project": str(project).lower(),
        "sampling": f"{sampling.sampler} {sampling.steps} x{sampling.guidance_scale}",
        "precision": request.settled().precision,
    }
    named = {key: getattr(request, key) for key in ("words", "start", "keep")}
    named["keep_frames"] = ",".join(request.keep_frames)
    if request.best_of > 1:
        named["best_of"] = f"{request.best_of} by {request.evaluator}"
    return about | {key: value for key, value in named.items() if value}
