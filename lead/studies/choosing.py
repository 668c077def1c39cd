"""Of several motions of a sentence the one that says it and stands: the work of ``best_of``."""

from collections.abc import Sequence

import numpy as np

from lead.core.devices import choose_device
from lead.core.errors import RequestError
from lead.evaluation.judge import Judge, load_judge
from lead.evaluation.physical import toe_skating_ratio
from lead.export.motion_file import Motion
from lead.generation.loading import ModelRequest
from lead.models.text_encoders.learned_words import words_in
from lead.models.text_encoders.loading import make_encoder
from lead.representation import get_skeleton


class Choice(ModelRequest):
    """``best_of`` motions are drawn for each that is kept; ``evaluator`` says which it is."""

    best_of: int
    evaluator: str

    def judge(self, texts: Sequence[str], of_sentences: bool) -> Judge | None:
        """Who chooses, if anyone; RequestError for sentences with words that he never read.

        Only clips ``of_sentences``, one each, can be chosen.
        """
        if self.best_of == 1:
            return None
        if not of_sentences:
            raise RequestError("best_of= chooses by a sentence: leave timeline, task and like out")
        if taught := sorted({word for text in texts for word in words_in(text)}):
            raise RequestError(
                f"{taught[0]} is a learned word, which the judge of best_of= cannot read: "
                "leave best_of out"
            )
        return load_judge(self.evaluator, choose_device(self.device), make_encoder=make_encoder)


def nearest(clips: Sequence[Motion], best_of: int, judge: Judge) -> list[Motion]:
    """One of each ``best_of`` clips in a row, which are of one sentence.

    It has the least d (1 + s): d is the distance of motion and sentence as the judge sees them, s
    the share of frames in which a toe slides (``toe_skating_ratio``).
    """
    motions = judge.embed_motions([clip.features for clip in clips])
    texts = list(dict.fromkeys(clip.text for clip in clips))
    rows = dict(zip(texts, judge.embed_texts(texts), strict=True))
    far = np.array(
        [
            np.linalg.norm(motion - rows[clip.text])
            * (1 + toe_skating_ratio(clip.joints, clip.fps, get_skeleton(clip.skeleton)))
            for motion, clip in zip(motions, clips, strict=True)
        ]
    )
    places = far.reshape(-1, best_of).argmin(axis=1)
    return [clips[best_of * group + place] for group, place in enumerate(places)]
