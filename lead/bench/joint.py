"""Both directions of a joint diffusion: motions of sentences and sentences of motions."""

from collections.abc import Callable, Iterator
from functools import partial

from lead.bench.machine import Machine
from lead.bench.record import Row
from lead.bench.setting import BenchOptions, Setting
from lead.bench.timing import alternate, median
from lead.core.errors import RequestError
from lead.generation import MotionModel
from lead.generation.loading import load_named

BATCHES = (1, 32)
TEXT = "a person walks forward and waves the right hand."


def measure(setting: Setting, machine: Machine, options: BenchOptions) -> list[Row]:
    """The rows of `lead bench joint`: whole motions and whole sentences, of one run.

    ``plain`` is the same one after the other, as it was trained (fp32), where there are several.
    """
    loaded = load_named(options.teacher).to(setting.device)
    if not loaded.can("caption"):
        raise RequestError(
            f"run={options.teacher.run} is no run of stage=joint_diffusion: name one"
        )
    shortest, longest = loaded.frame_limits
    frames = min(max(options.frames, shortest), longest)
    sampling = options.teacher.sampling
    (clip,) = (made.features for made in loaded.generate([TEXT], [frames], [1], sampling))
    models = {precision: loaded.prepared(precision) for precision in machine.flops}

    def motions(model: MotionModel, seeds: range) -> None:
        model.generate([TEXT] * len(seeds), [frames] * len(seeds), seeds, sampling)

    def sentences(model: MotionModel, seeds: range) -> None:
        model.caption([clip] * len(seeds), seeds)

    return [
        row
        for unit, work in (("motions", motions), ("sentences", sentences))
        for batch in BATCHES
        for row in _rows(unit, work, batch, loaded, models, setting, frames)
    ]


def _rows(
    unit: str,
    work: Callable[[MotionModel, range], None],
    batch: int,
    loaded: MotionModel,
    models: dict[str, MotionModel],
    setting: Setting,
    frames: int,
) -> Iterator[Row]:
    works = {own: partial(work, model, range(batch)) for own, model in models.items()}
    if batch > 1:
        works["plain"] = lambda: [work(loaded, range(n, n + 1)) for n in range(batch)]
    seconds = alternate(works, setting)
    plain = seconds.get("plain", ())
    for own in models:
        yield Row(
            f"{unit}, batch {batch}, {own}",
            *(batch, unit, median(seconds[own]), median(plain) if plain else None, None),
            *(seconds[own], plain),
            remark=f"{frames} frames; plain is one after the other, fp32" * (batch > 1),
        )
