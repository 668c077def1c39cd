"""What a trial is cut into: the cuts that have sentences of their own, and windows of the rest."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from lead.data.caption_kinds import KIND, OWN
from lead.data.cmu.sentences import Cut, Sentences
from lead.data.cmu.trials import Trial
from lead.data.cmu.window_sentences import sentences_about
from lead.data.source import Caption

SHORTEST, LONGEST = 40, 200  # frames of a window, at 20 fps: 2 to 10 s
_CUT_MAY_EXCEED = 2  # frames by which a cut may pass the end of its trial


@dataclass(frozen=True)
class Piece:
    """A clip of a trial: frames at 20 fps, and sentences of one kind.

    The last ``own`` of its captions are lead's, about this window alone.
    """

    id: str
    trial: Trial
    start: int
    end: int
    kind: str
    captions: tuple[Caption, ...]
    cut: str = ""  # HumanML3D's id
    mirrored: bool = False
    own: int = 0

    def labels(self) -> dict[str, str]:
        """What the index of a data set keeps of it."""
        labels = {
            KIND: self.kind,
            "trial": self.trial.name,
            "subject": self.trial.subject,
            "frames": f"{self.start}-{self.end}",
            "fps": f"{self.trial.fps:g}",
        }
        if self.cut:
            labels["humanml3d"] = self.cut
        if self.mirrored:
            labels["mirrored"] = "yes"
        if self.own:
            labels[OWN] = str(self.own)
        return labels


def pieces_of(trial: Trial, sentences: Sentences) -> Iterator[Piece]:
    """Cuts with sentences first, then windows of what they leave over.

    A window has the trial's sentence, and lead's own about it.

    A cut that begins before the recording is seen begins with it; one that ends far after it is of
    another recording, and gives nothing. Remains of under 2 s are dropped, but not whole trials.
    """
    usable = []
    for cut in sentences.cuts.get(trial.name, ()):
        if (place := _place(trial, cut)) is not None:
            usable.append(cut)
            yield Piece(
                *(f"{trial.name}@{cut.name}", trial, *place, "humanml3d", cut.captions),
                cut=cut.name,
                mirrored=cut.mirrored,
            )
    if trial.name not in sentences.whole:
        return
    kind, texts = sentences.whole[trial.name]
    windows = list(windows_between(trial.first, trial.frames, usable))
    for place, (start, end) in enumerate(windows):
        name = f"{trial.name}#{place}" if len(windows) > 1 else trial.name
        own = sentences_about(name, start, end)
        captions = tuple(map(Caption, (*texts, *own)))
        yield Piece(name, trial, start, end, kind, captions, own=len(own))


def lost_cuts(trial: Trial, cuts: Iterable[Cut]) -> Iterator[Cut]:
    """The cuts that do not lie in their trial."""
    return (cut for cut in cuts if _place(trial, cut) is None)


def _place(trial: Trial, cut: Cut) -> tuple[int, int] | None:
    start, end = max(cut.start, trial.first), min(cut.end, trial.frames)
    return (start, end) if start < end <= cut.end <= end + _CUT_MAY_EXCEED else None


def windows_between(first: int, end: int, cuts: Iterable[Cut]) -> Iterator[tuple[int, int]]:
    """Windows of equal length in every stretch that no cut covers, each of 2 to 10 s.

    Where nothing is cut, a shorter trial is one window.
    """
    edges, covered = [], first
    for cut in sorted(cuts, key=lambda cut: cut.start):
        edges.append((covered, cut.start))
        covered = max(covered, cut.end)
    whole = not edges
    for start, stop in [*edges, (covered, end)]:
        length = stop - start
        if length >= SHORTEST or (whole and length > 0):
            marks = np.linspace(start, stop, -(-length // LONGEST) + 1).astype(int)
            yield from zip(marks[:-1].tolist(), marks[1:].tolist(), strict=True)
