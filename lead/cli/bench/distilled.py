"""A distilled run beside the run that it learned from: one sentence, one motion."""

from collections.abc import Callable
from pathlib import Path

from lead.cli.bench.machine import Machine
from lead.cli.bench.record import Row
from lead.cli.bench.setting import Setting
from lead.cli.bench.timing import alternate, median
from lead.cli.loading import compose_for_run, load_text_to_motion, make_sampling
from lead.cli.starter import with_default_run
from lead.core.errors import RequestError
from lead.generation import Sampling, TextToMotion

TEXT = "a person walks forward and waves the right hand."


def measure(setting: Setting, machine: Machine, config: dict) -> list[Row]:  # noqa: ARG001
    """The rows of `lead bench distilled`: ``plain`` is the teacher in the same form."""
    run = Path(with_default_run({"run": config["run"]})["run"])
    student = Path(config["student"] or run / "distilled")
    if not (student / "run.json").is_file():
        raise RequestError(f"student={student} is no run: name one that stage=distill made")
    teacher, teacher_sampling = _loaded(setting, [f"run={run}"])
    taught, taught_sampling = _loaded(setting, [f"run={run}", f"diffusion={student}"])
    if not taught.denoiser.embeds_guidance:
        raise RequestError(f"student={student} is not distilled: name a run of stage=distill")
    shortest, longest = teacher.frame_limits
    frames = min(max(config["frames"], shortest), longest)
    rows = []
    for form in ("trained modules", "prepared fp32"):
        if form == "prepared fp32":
            teacher, taught = teacher.prepared(), taught.prepared()
        theirs, own = (
            _works(pipeline, sampling, frames)
            for pipeline, sampling in ((teacher, teacher_sampling), (taught, taught_sampling))
        )
        for name in own:
            seconds = alternate({"plain": theirs[name], "ours": own[name]}, setting)
            ours, plain = seconds["ours"], seconds["plain"]
            rows.append(
                Row(
                    f"{name}, {taught_sampling.steps} for {teacher_sampling.steps} steps, {form}",
                    *(1, "motions", median(ours), median(plain), None, ours, plain),
                    remark=f"{frames} frames; plain is the teacher in the same form",
                )
            )
    return rows


def _loaded(setting: Setting, words: list[str]) -> tuple[TextToMotion, Sampling]:
    config = compose_for_run("generate", words)
    return load_text_to_motion(config).to(setting.device), make_sampling(config)


def _works(
    pipeline: TextToMotion, sampling: Sampling, frames: int
) -> dict[str, Callable[[], object]]:
    """A whole motion from its sentence, and its latent from the embedded sentence."""
    project = pipeline.projector is not None
    condition = pipeline.embed([TEXT, ""])
    return {
        "text to joints": lambda: pipeline.generate(
            [TEXT], [frames], [1], sampling, project=project
        ),
        "sampling alone": lambda: pipeline.sample(
            [TEXT], [1], sampling, project=False, condition=condition
        ),
    }
