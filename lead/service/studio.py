"""The loaded model behind the page: sentences become clips, an upload becomes a word."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from lead.core.errors import RequestError
from lead.evaluation.report.attention_plot import AttentionPanel
from lead.export.motion_file import Motion
from lead.generation import MotionModel, Sampling
from lead.generation.attention import watch
from lead.generation.motion_model import TELLING, Caption
from lead.inversion import Concept, InversionOptions, Word
from lead.models.text_encoders.learned_words import check_taught
from lead.service.forms import CaptionForm, ClipForm, WordForm
from lead.service.uploads import read_upload
from lead.studies.attention import panel
from lead.studies.clips import as_motion

Report = Callable[[float, str], None]

WORDS_MOST = 50  # that visitors have taught; the oldest is forgotten


@dataclass(frozen=True, eq=False)
class Take:
    """The answer to a ClipForm: one motion, or two."""

    motions: tuple[Motion, ...]
    projectors: tuple[str, ...]  # on or off, of each
    remarks: tuple[str, ...] = ()
    form: ClipForm | None = None  # that it answers


@dataclass(frozen=True)
class Recipe:
    """How a visitor's word is learned: the objective, and sentences for each kind of word."""

    options: InversionOptions
    templates: dict[str, tuple[str, ...]]  # manner | motion -> sentences


class Studio:
    """A motion model that knows ``words``. One thread may generate and teach; any may ask the rest.

    ``model`` is of ``run``. Files stand in ``folder``.
    """

    def __init__(
        self,
        model: MotionModel,
        sampling: Sampling,
        run: str,
        words: Sequence[Word],
        recipe: Recipe,
        folder: Path,
    ) -> None:
        self.model, self.sampling, self.run = model, sampling, run
        self.recipe, self.folder = recipe, folder
        self.given = {word.word: word for word in words}
        self.taught: dict[str, Word] = {}

    @property
    def words(self) -> dict[str, Word]:
        """Every word that a sentence may use."""
        return {**self.given, **self.taught}

    def check_text(self, text: str) -> None:
        """RequestError where a sentence uses a word that nobody has taught."""
        try:
            check_taught(text, self.words)
        except RequestError as error:
            known = ", ".join(self.words) or "none so far"
            word = str(error).partition(" of '")[0].rpartition(" ")[2]
            raise RequestError(
                f"nobody has taught {word}: teach it, use one of the learned words ({known}), or "
                "leave out the angle brackets"
            ) from error

    def generate(self, form: ClipForm, report: Report) -> Take:
        """The clips of a form. Raises RequestError for what the model cannot do."""
        sides = ("on", "off") if form.projector == "both" else (form.projector,)
        sampling = self._sampling(form)
        vectors = {name: word.vector for name, word in self.words.items()}
        model = self.model.with_words(vectors)
        frames = round(form.seconds * model.fps)
        steps = model.calls(sampling) * len(sides)
        made = []
        with _counted(model, steps, "drawing the motion", report):
            for side in sides:
                (motion,) = model.generate(
                    [form.text], [frames], [form.seed], sampling, project=side == "on"
                )
                made.append(self._as_motion(motion, sampling, side))
        remarks = (f"the sentence is {far}" for far in model.remarks([form.text]).values() if far)
        return Take(tuple(made), sides, tuple(remarks), form)

    def look(self, take: Take, report: Report) -> AttentionPanel:
        """Where the motion of a take looks among its words: it is drawn once more.

        Raises RequestError where the model reads no words.
        """
        form = take.form
        self.check_text(form.text)
        sampling = self._sampling(form)
        model = self.model.with_words({name: word.vector for name, word in self.words.items()})
        asked = ([form.text], [round(form.seconds * model.fps)], [form.seed])
        with _counted(model, model.calls(sampling), "looking at words", report):
            (attention,) = watch(model, *asked, sampling)
        return panel(attention, sampling.sink_words)

    def teach(self, form: WordForm, data: bytes, report: Report) -> Word:
        """Learn a word from an uploaded BVH file; from then on sentences may use it."""
        report(0.0, "reading the motion")
        from lead.training.inversion_stage import MEASURED_BATCHES, invert
        from lead.training.quiet import quiet_lightning

        features = read_upload(data, form.file, self.folder, self.model)
        templates = self.recipe.templates[form.means]
        licence = "unknown: ask the owner of the file"
        concept = Concept(form.word, form.init, (features,), (form.file,), templates, licence)
        if concept.word in self.given:
            raise RequestError(f"{concept.word} is taught already: choose another word")
        quiet_lightning()
        calls = self.recipe.options.steps + 2 * MEASURED_BATCHES
        with _counted(self.model, calls, f"learning {concept.word}", report):
            (word,) = invert([concept], self.model, self.recipe.options)
        kept = [*self.taught.items()][-WORDS_MOST + 1 :]
        self.taught = {**dict(kept), word.word: word}
        return word

    def caption(self, form: CaptionForm, data: bytes, report: Report) -> list[Caption]:
        """Sentences about an uploaded motion. Raises RequestError where the model writes none."""
        self.model.need("caption")
        report(0.0, "reading the motion")
        features = read_upload(data, form.file, self.folder, self.model)
        calls = self.model.calls(TELLING) * form.count
        with _counted(self.model, calls, "writing sentences", report):
            (found,) = self.model.caption([features], [form.seed], count=form.count)
        return list(found)

    def _sampling(self, form: ClipForm) -> Sampling:
        own = self.sampling
        listed = own.timesteps is not None and form.steps == len(own.timesteps)
        timesteps = own.timesteps if listed else None
        return replace(own, steps=form.steps, guidance_scale=form.guidance, timesteps=timesteps)

    def _as_motion(self, made, sampling: Sampling, side: str) -> Motion:
        about = {
            "run": self.run,
            "project": "true" if side == "on" else "false",
            "sampling": f"{sampling.sampler} {sampling.steps} x{sampling.guidance_scale}",
        }
        return as_motion(made, self.model, about)


def _counted(model: MotionModel, calls: int, doing: str, report: Report) -> AbstractContextManager:
    """Report after each step of a sampler; the report may raise to end the work."""
    done = count(1)
    return model.heard(lambda: report(min(next(done) / calls, 1.0), doing))
