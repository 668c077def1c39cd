"""What every option takes: the type of its default, and the ranges and words of two tables.

The limits of options stand here, each is named in the message of what exceeds it; those of training
and of models stand with what takes them, those of files in lead.core.reading.
"""

import math
from dataclasses import dataclass

from lead.core.errors import RequestError, did_you_mean
from lead.core.schema import shown

JOINT_NAMES = ("lead", "mixamo", "vrm", "smpl")  # of lead.export.joint_names, which is heavy
LARGEST = 10**9  # of a number that nothing below says more about; whole ones begin at 0


@dataclass(frozen=True)
class Takes:
    """A type, and which of its values are taken.

    ``above`` leaves out ``low`` itself. ``words`` are all that a word may be, or what may stand for
    a number. ``each`` is what a list takes as its entries.
    """

    kind: type
    low: float | int = -LARGEST
    high: float | int = LARGEST
    above: bool = False
    words: tuple[str, ...] = ()
    null: bool = False
    each: "Takes | None" = None

    def read(self, key: str, value: object) -> object:
        """``value`` as this type; RequestError, which calls it ``key``, where it is not taken."""
        if (value is None and self.null) or (isinstance(value, str) and value in self.words):
            return value
        if not self._fits(value):
            raise RequestError(f"{key} takes {self._wanted(key)}, got {shown(value)}")
        if self.kind is list:
            return [self.each.read(key, entry) for entry in value]
        if self.kind is str and self.words:
            name = key.rpartition(".")[2]
            raise RequestError(f"unknown {name} '{value}': {did_you_mean(str(value), self.words)}")
        if self.kind in (int, float) and not self._within(value):
            what = "a whole number" if self.kind is int else "a number"
            until = "above {}, up to {}" if self.above else "from {} to {}"
            raise RequestError(
                f"{key} takes {what} {until.format(self.low, self.high)}, got {shown(value)}"
            )
        return self.kind(value)

    def _within(self, value: float | int) -> bool:
        return self.low <= value <= self.high and not (self.above and value == self.low)

    def _fits(self, value: object) -> bool:
        if self.kind is list:
            return isinstance(value, list) and all(map(self.each._fits, value))
        if self.kind in (bool, dict) or isinstance(value, str):
            return isinstance(value, self.kind)
        return _is_number(value) and (self.kind is not int or value == int(value))

    def _wanted(self, key: str) -> str:
        if self.kind is list:
            some = "whole numbers" if self.each.kind is int else "words"
            return f"a list of {some}, {key}=[{'2,1' if self.each.kind is int else 'A,B'}]"
        return _WANTED[self.kind].format(key=key)


_WANTED = {
    **{bool: "true or false", int: "a whole number", float: "a finite number", str: "a word"},
    dict: "several values, {key}.NAME=VALUE",
}

EVERYWHERE = {
    "seed": Takes(int, 0, 2**62),  # others are counted up from it
    "batch_size": Takes(int, 1, 65_536),
    "beams": Takes(int, 1, 64),
    "guidance_scale": Takes(float, -1000, 1000),
    "threads": Takes(int, 0, 1024),
    "precision": Takes(str, words=("auto", "fp32", "bf16")),
    "at_once": Takes(int, 1, 1024),
}
"""By the last part of the key."""

OWN = {
    "workers": Takes(int, 1, 128),
    "data.clips": Takes(int, 1, 1_000_000, null=True),
    "data.template": Takes(str, null=True),
    "data.captions_per_clip": Takes(int, 1, 1000),
    "trainer.devices": Takes(int, 1, 16, words=("auto",)),
    "model.schedule.beta_start": Takes(float, 0, 1, null=True),
    "model.schedule.beta_end": Takes(float, 0, 1, null=True),
    "text_encoder.package": Takes(str, null=True),
    "text_encoder.hub": Takes(str, null=True),
    "text_encoder.sha256": Takes(str, null=True),
    "count": Takes(int, 1, 100_000),
    "best_of": Takes(int, 1, 64),
    "seconds": Takes(float, 0, 3600, above=True),
    "project": Takes(bool, null=True),
    "generate task": Takes(str, words=("text", "joint", "motion")),
    "like_by": Takes(str, words=("text", "noise")),
    "strength": Takes(float, 0, 1),
    "sampling.steps": Takes(int, 1, 10_000),
    "sampling.eta": Takes(float, 0, 1),
    "sampling.candidates": Takes(int, 1, 64),
    "sampling.timesteps": Takes(list, null=True, each=Takes(int, 0, 10_000)),
    "sampling.sink_base": Takes(float, 0, 1000, null=True),
    "sampling.sink_memory": Takes(float, 0, 1000, null=True),
    "sampling.sink_threshold": Takes(float, 0, 1, null=True),
    "sampling.sink_word": Takes(str, words=("start", "random")),
    "sampling.sink_padding": Takes(int, 0, 1000),
    "devices": Takes(int, 1, 16),
    "protocol.replications": Takes(int, 1, 10_000),
    "study.seeds": Takes(int, 1, 1000),
    "study.shown": Takes(int, 0, 50),
    "study.styles.clips": Takes(int, 1, 1000),
    "study.styles.concepts": Takes(int, 1, 1000),
    "study.styles.sentences": Takes(int, 1, 1000),
    "scale": Takes(float, 1e-4, 1e6, null=True),
    "evaluate task": Takes(str, words=("caption",), null=True),
    "fps": Takes(float, 1, 240, null=True),
    "export names": Takes(str, words=JOINT_NAMES),
    "generate names": Takes(str, words=JOINT_NAMES),
    "report format": Takes(str, words=("markdown", "csv", "latex"), null=True),
    "classes": Takes(int, 2, 1000),
    "pairs": Takes(int, 1, 1000),
    "candidates": Takes(int, 1, 100_000),
    "choose": Takes(str, words=("random", "changed")),
    "repeats": Takes(int, 1, 10_000),
    "batch": Takes(int, 0, 4096),
    "frames": Takes(int, 4, 400),
    "clock": Takes(str, words=("wall", "cpu")),
    "launcher.minutes": Takes(int, 1, 525_600),
    "launcher.nodes": Takes(int, 1, 1024),
    "launcher.tasks_per_node": Takes(int, 1, 1024),
    "launcher.cpus_per_task": Takes(int, 1, 1024),
    "launcher.memory_gb": Takes(int, 1, 100_000),
    "measure": Takes(str, words=("each", "together")),
}
"""By the key, or by verb and key."""


def takes(verb: str, key: str, default: object) -> Takes:
    """What an option of a verb takes: by the table, else by the type of its default."""
    known = OWN.get(f"{verb} {key}") or OWN.get(key) or EVERYWHERE.get(key.rpartition(".")[2])
    if known:
        return known
    if isinstance(default, list):
        whole_ones = default and all(type(entry) is int for entry in default)
        return Takes(list, each=Takes(int, 0) if whole_ones else Takes(str))
    if isinstance(default, int) and not isinstance(default, bool):
        return Takes(int, 0)
    return Takes(str, null=True) if default is None else Takes(type(default))


def read_number(key: str, text: str, where: str) -> float:
    """A number that stands in a file, of the range of the option ``key``; RequestError names it."""
    try:
        value: object = float(text)
    except ValueError:
        value = text.strip()
    return OWN[key].read(where, value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf
