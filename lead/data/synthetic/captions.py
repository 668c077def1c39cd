"""Sentences about a script, in the plain third person of motion captions."""

import re

import numpy as np

from lead.data.synthetic.script import THEN, Act, Script, generator, plan

_SUBJECTS = ("a person", "a person", "a person", "someone", "the person", "a man", "a figure")
_SPEED = {
    "slowly": ("slowly", "slowly", "at a slow pace", "in slow motion", "without haste"),
    "": ("",),
    "quickly": ("quickly", "quickly", "fast", "at a fast pace", "briskly"),
}
_TIMES = {
    1: ("", "", "once"),
    2: ("twice", "two times"),
    3: ("three times", "3 times"),
    4: ("four times", "4 times"),
}
_NUMBERS = ("no", "one", "two", "three", "four")
_COUNTED = {"number": ("step", "steps"), "jumps": ("jump", "jumps")}
_COUNTED |= {"squats": ("squat", "squats"), "punches": ("punch", "punches")}
_DOUBLED = {"run", "jog", "sit", "squat", "step", "clap", "hop", "nod", "get", "put", "flap", "rub"}
_DOUBLED |= {"sidestep", "spin"}

_ALONE = (
    ("{s} {present}", 6),
    ("{s} is {going}", 2),
    ("{s} begins to {base}", 0.5),
)
_SEQUENCE = (
    ("{s} {present} and then {present2}", 4),
    ("{s} {present}, then {present2}", 4),
    ("{s} first {present} and afterwards {present2}", 1),
    ("{s} {present} before {going2}", 1),
    ("after {going}, {s} {present2}", 1),
)
_TOGETHER = (
    ("{s} {present} while {going2}", 4),
    ("while {going}, {s} {present2}", 1),
    ("{s} {present} and {present2} at the same time", 1),
)


def write_captions(clip_id: str, seed: int, count: int = 3) -> tuple[str, ...]:
    """``count`` different sentences about a clip, from its name and the seed alone."""
    script, rng = plan(clip_id, seed), generator(seed, "captions", clip_id)
    captions: list[str] = []
    while len(captions) < count:
        sentence = _sentence(script, rng)
        if sentence not in captions:
            captions.append(sentence)
    return tuple(captions)


def _sentence(script: Script, rng: np.random.Generator) -> str:
    frames = _ALONE
    if script.joined:
        frames = _SEQUENCE if script.joined == THEN else _TOGETHER
    weights = np.array([weight for _, weight in frames])
    frame = frames[int(rng.choice(len(frames), p=weights / weights.sum()))][0]
    slots = {"s": str(rng.choice(_SUBJECTS))}
    for number, act in enumerate(script.acts):
        phrase = _phrase(act, rng)
        end = "2" if number else ""
        slots |= {f"{form}{end}": conjugate(phrase, form) for form in ("base", "present", "going")}
    return frame.format(**slots) + "."


def _phrase(act: Act, rng: np.random.Generator) -> str:
    """One verb phrase of the act, its slots filled and its verbs still in brackets."""
    manner = act.manner
    template = str(rng.choice(act.action.phrases[manner.variant]))
    slots = {
        "speed": rng.choice(_SPEED[manner.speed]),
        "times": rng.choice(_TIMES[manner.count]),
        "side": manner.side,
        "other": {"left": "right", "right": "left"}.get(manner.side, ""),
        "turn": {"left": "counterclockwise", "right": "clockwise"}.get(manner.side, ""),
    }
    for slot, (one, many) in _COUNTED.items():
        number = _NUMBERS[manner.count] if manner.count > 1 or slot == "number" else "a"
        slots[slot] = f"{number} {one if manner.count == 1 else many}"
    filled = re.sub(r"\s+", " ", template.format(**slots)).strip()
    return filled.replace(" ,", ",")


def conjugate(phrase: str, form: str) -> str:
    """Put the verbs in angle brackets into a form: ``base``, ``present`` (he ...s) or ``going``."""
    endings = {"base": str, "present": _present, "going": _going}
    return re.sub(r"<(\w+)>", lambda match: endings[form](match[1]), phrase)


def _present(verb: str) -> str:
    if re.search(r"(s|sh|ch|x|z|o)$", verb):
        return verb + "es"
    if re.search(r"[^aeiou]y$", verb):
        return verb[:-1] + "ies"
    return verb + "s"


def _going(verb: str) -> str:
    if verb in _DOUBLED:
        return verb + verb[-1] + "ing"
    if verb.endswith("e") and not verb.endswith("ee"):
        return verb[:-1] + "ing"
    return verb + "ing"
