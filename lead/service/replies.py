"""What the server says of jobs, clips and words."""

import re
from urllib.parse import quote

from pydantic import BaseModel

from lead import __version__
from lead.core.errors import one_line
from lead.evaluation.report.attention_plot import AttentionPanel
from lead.export.formats import FORMATS
from lead.inversion import Word
from lead.representation import get_skeleton
from lead.service.forms import ClipForm, Settings
from lead.service.jobs import Job
from lead.service.studio import Studio, Take
from lead.service.uploads import SECONDS_MOST


class Refusal(BaseModel):
    """Why a request is not answered, in one line of at most 300 characters."""

    error: str


class WordFacts(BaseModel):
    """A learned word, the losses before and after, and where its file is."""

    word: str
    init: str | None
    loss: tuple[float | None, float | None]
    file: str


class CaptionFacts(BaseModel):
    """A sentence about a motion, and the mean log-probability of its pieces."""

    text: str
    score: float


class ClipFacts(BaseModel):
    """One clip; ``joints`` (frames J 3) in metres, y up, where they were asked for."""

    text: str
    seed: int
    projector: str
    fps: float
    frames: int
    seconds: float
    skeleton: str
    files: dict[str, str]
    joints: list[list[tuple[float, float, float]]] = []


class JobFacts(BaseModel):
    """A job as it stands; what it has made is there when it is done."""

    id: str
    state: str
    progress: float
    doing: str
    before: int
    error: str = ""
    word: WordFacts | None = None
    clips: list[ClipFacts] = []
    player: str = ""
    picture: str = ""
    remarks: list[str] = []
    captions: list[CaptionFacts] = []


def about(studio: Studio, form: type[ClipForm], settings: Settings) -> dict[str, object]:
    """All that a page or a bridge has to know before it asks."""
    skeleton = get_skeleton(studio.model.skeleton.name)
    fields = form.model_json_schema()["properties"]
    ranges = {
        name: [facts["minimum"], facts["maximum"]]
        for name, facts in fields.items()
        if "minimum" in facts
    }
    return {
        "lead": __version__,
        "run": studio.run,
        "sampler": studio.sampling.sampler,
        "projector": studio.model.can("project"),
        "captions": studio.model.can("caption"),
        "attention": studio.model.can("attention"),
        "fps": studio.model.fps,
        "skeleton": {
            "name": skeleton.name,
            "joints": list(skeleton.joint_names),
            "parents": list(skeleton.parents),
        },
        "defaults": {name: facts["default"] for name, facts in fields.items() if name != "text"},
        "limits": {
            "text": fields["text"]["maxLength"],
            **ranges,
            "upload_seconds": SECONDS_MOST,
        },
        "formats": list(FORMATS),
        "words": [word_facts(word) for word in studio.words.values()],
        "upload_bytes": settings.upload_bytes,
        "examples": settings.examples,
        "licence": settings.licence,
    }


def word_facts(word: Word) -> WordFacts:
    """A learned word and where its file is."""
    loss = (word.about.get("loss_before"), word.about.get("loss_after"))
    file = f"/words/{quote(word.word.strip('<>'))}.safetensors"
    return WordFacts(word=word.word, init=word.about.get("init"), loss=loss, file=file)


def job_facts(job: Job, before: int, *, joints: bool = False) -> JobFacts:
    """A job as it stands, with its clips or its word where it is done; ``before`` come first."""
    facts = {"id": job.name, "state": job.state, "progress": round(job.progress, 3)}
    facts |= {"doing": job.doing, "before": before}
    if job.error is not None:
        facts["error"] = one_line(job.error)
    if isinstance(job.result, Word):
        facts["word"] = word_facts(job.result)
    if isinstance(job.result, list):
        facts["captions"] = [CaptionFacts(**told._asdict()) for told in job.result]
    if isinstance(job.result, Take):
        facts |= {"player": f"/jobs/{job.name}/player", "remarks": list(job.result.remarks)}
        facts["clips"] = _clips(job.name, job.result, joints=joints)
    if isinstance(job.result, AttentionPanel):
        facts["picture"] = f"/jobs/{job.name}/attention.png"
    return JobFacts(**facts)


def _clips(name: str, take: Take, *, joints: bool) -> list[ClipFacts]:
    plain = ("text", "seed", "fps", "frames", "seconds", "skeleton")
    clips = []
    for number, motion in enumerate(take.motions):
        facts = {key: getattr(motion, key) for key in plain}
        facts["files"] = {format: f"/jobs/{name}/{number}.{format}" for format in FORMATS}
        if joints:
            facts["joints"] = motion.joints.astype(float).round(4).tolist()
        clips.append(ClipFacts(**facts, projector=take.projectors[number]))
    return clips


def download_name(take: Take, number: int, format: str) -> str:
    """A file name that says what is in the file."""
    motion = take.motions[number]
    words = re.sub(r"[^a-z0-9]+", "-", motion.text.lower()).strip("-")[:50].strip("-")
    side = f"-projector-{take.projectors[number]}" if len(take.motions) > 1 else ""
    return f"{words or 'motion'}-seed{motion.seed}{side}.{format}"
