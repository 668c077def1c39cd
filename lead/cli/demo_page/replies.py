"""What the server says of jobs, clips and words, as JSON values."""

import re
from collections.abc import Mapping
from importlib.util import find_spec
from urllib.parse import quote

from lead import __version__
from lead.cli.demo_page.forms import GUIDANCE, SEED_MOST, STEPS_MOST, TEXT_MOST, ClipForm
from lead.cli.demo_page.jobs import Job, JobQueue
from lead.cli.demo_page.studio import Studio, Take
from lead.cli.demo_page.uploads import SECONDS_MOST
from lead.export.formats import FORMATS
from lead.inversion import Word
from lead.representation import get_skeleton

NEEDS = {"mp4": ("av", "pip install lead[video]")}
"""Formats that need a package which may not be there, and how to get it."""


def about(studio: Studio, defaults: ClipForm, facts: Mapping[str, object]) -> dict:
    """All that a page or a bridge has to know before it asks."""
    skeleton = get_skeleton(studio.pipeline.skeleton.name)
    asked = {name: value for name, value in vars(defaults).items() if name != "text"}
    return {
        "lead": __version__,
        "run": studio.run,
        "sampler": studio.sampling.sampler,
        "projector": studio.limits.projector,
        "fps": studio.pipeline.fps,
        "skeleton": {
            "name": skeleton.name,
            "joints": list(skeleton.joint_names),
            "parents": list(skeleton.parents),
        },
        "defaults": asked,
        "limits": {
            "text": TEXT_MOST,
            "seconds": list(studio.limits.seconds),
            "seed": [0, SEED_MOST],
            "guidance": list(GUIDANCE),
            "steps": [1, STEPS_MOST],
            "upload_seconds": SECONDS_MOST,
        },
        "formats": {name: missing(name) for name in FORMATS},
        "words": [word_facts(word) for word in studio.words.values()],
        **facts,
    }


def missing(format: str) -> str | None:
    """How to get what a format needs, or None where all is there."""
    package, advice = NEEDS.get(format, (None, ""))
    return advice if package and find_spec(package) is None else None


def word_facts(word: Word) -> dict:
    """A learned word and where its file is."""
    about = word.about
    return {
        "word": word.word,
        "init": about.get("init"),
        "loss": [about.get("loss_before"), about.get("loss_after")],
        "file": f"/words/{quote(word.word.strip('<>'))}.safetensors",
    }


def job_facts(job: Job, queue: JobQueue, *, joints: bool = False) -> dict:
    """A job as it stands, with its clips or its word where it is done."""
    facts = {
        "id": job.name,
        "state": job.state,
        "progress": round(job.progress, 3),
        "doing": job.doing,
        "before": queue.place(job) if job.state == "waiting" else 0,
    }
    if job.error is not None:
        facts["error"] = one_line(job.error)
    if isinstance(job.result, Word):
        facts["word"] = word_facts(job.result)
    if isinstance(job.result, Take):
        facts |= _take_facts(job.name, job.result, joints=joints)
    return facts


def _take_facts(name: str, take: Take, *, joints: bool) -> dict:
    clips = []
    for number, motion in enumerate(take.motions):
        clip = {
            "text": motion.text,
            "seed": motion.seed,
            "projector": take.projectors[number],
            "fps": motion.fps,
            "frames": motion.frames,
            "seconds": motion.seconds,
            "skeleton": motion.skeleton,
            "files": {
                format: f"/jobs/{name}/{number}.{format}"
                for format in FORMATS
                if missing(format) is None
            },
        }
        if joints:
            clip["joints"] = motion.joints.astype(float).round(4).tolist()
        clips.append(clip)
    return {"clips": clips, "player": f"/jobs/{name}/player", "remarks": list(take.remarks)}


def download_name(take: Take, number: int, format: str) -> str:
    """A file name that says what is in the file."""
    motion = take.motions[number]
    words = re.sub(r"[^a-z0-9]+", "-", motion.text.lower()).strip("-")[:50].strip("-")
    side = f"-projector-{take.projectors[number]}" if len(take.motions) > 1 else ""
    return f"{words or 'motion'}-seed{motion.seed}{side}.{format}"


def one_line(error: object) -> str:
    """A message without line breaks."""
    return " ".join(str(error).split())
