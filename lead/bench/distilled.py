"""A distilled run beside the run that it learned from: one sentence, one motion."""

from collections.abc import Callable

from lead.bench.machine import Machine
from lead.bench.record import Row
from lead.bench.setting import BenchOptions, Setting
from lead.bench.timing import alternate, median
from lead.core.errors import RequestError
from lead.generation import MotionModel, Sampling
from lead.generation.loading import ModelRequest, load_named

TEXT = "a person walks forward and waves the right hand."


def measure(setting: Setting, machine: Machine, options: BenchOptions) -> list[Row]:  # noqa: ARG001
    """The rows of `lead bench distilled`: ``plain`` is the teacher in the same form.

    ``teacher`` and ``taught`` of the options are the values by which each of them generates.
    """
    teacher, teacher_sampling = _loaded(setting, options.teacher)
    taught, taught_sampling = _loaded(setting, options.taught)
    if not taught.can("embed_guidance"):
        raise RequestError(
            f"student={options.student} is not distilled: name a run of stage=distill"
        )
    shortest, longest = teacher.frame_limits
    frames = min(max(options.frames, shortest), longest)
    rows = []
    for form in ("trained modules", "prepared fp32"):
        if form == "prepared fp32":
            teacher, taught = teacher.prepared(), taught.prepared()
        theirs, own = (
            _works(model, sampling, frames)
            for model, sampling in ((teacher, teacher_sampling), (taught, taught_sampling))
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


def _loaded(setting: Setting, request: ModelRequest) -> tuple[MotionModel, Sampling]:
    return load_named(request).to(setting.device), request.sampling


def _works(model: MotionModel, sampling: Sampling, frames: int) -> dict[str, Callable[[], object]]:
    """A whole motion from its sentence, and its latent from the embedded sentence."""
    condition = model.embed([TEXT, ""])
    return {
        "text to joints": lambda: model.generate([TEXT], [frames], [1], sampling),
        "sampling alone": lambda: model.sample(
            [TEXT], [frames], [1], sampling, condition=condition
        ),
    }
