"""`lead evaluate ... study=table3|table4`: learned words in sentences, a row each way to learn.

Loaded only where a study runs. Every row answers the same sentences, with the same lengths; a seed
decides the inversion, the latents and the pools.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lead.core.building import build
from lead.core.claims import real_place
from lead.core.devices import choose_device
from lead.core.errors import RequestError
from lead.core.files import write_json
from lead.core.runs import Run
from lead.core.seeding import derive_seed
from lead.data.packed import PackedDataset
from lead.evaluation.classifier import load_classifier
from lead.evaluation.embeddings import Embedder
from lead.evaluation.judge import load_judge
from lead.evaluation.table import format_table
from lead.evaluation.word_judging import COLUMNS, WordJudge
from lead.generation.loading import load_named
from lead.generation.motion_model import MotionModel
from lead.inversion.objectives import OBJECTIVES
from lead.models.text_encoders import make_encoder
from lead.studies.benchmark.record import record, rows_record
from lead.studies.benchmark.rows import DrawnLatents
from lead.studies.request import EvaluateRequest
from lead.studies.words.concepts import studied_concepts
from lead.studies.words.options import StudyOptions
from lead.training.inversion_stage import invert
from lead.training.quiet import quiet_lightning

REAL, REBUILT = "Real", "VAE reconstruction"
RETRIEVED, PLAIN = "nearest training clip", "plain word"
PROJECTED = " + project"
PROJECT = ("without", "with")
COMPARED = ("MTI mld", f"MTI lead{PROJECTED}")
"""The rows that the picture shows where the table has them: LEAD's figure 7."""

Motions = Sequence[np.ndarray]


@dataclass(frozen=True)
class Learning:
    """One way to learn the words: with which projector, towards which objective."""

    title: str
    model: MotionModel
    objective: str


class WordStudy:
    """The parts of a study: the models, the concepts, and who judges."""

    def __init__(self, named: Run, dataset: PackedDataset, request: EvaluateRequest):
        self.named, self.dataset, self.request = named, dataset, request
        self.options = request.study
        device = choose_device(request.device)
        self.model = load_named(request).to(device)
        self.studied = studied_concepts(dataset, request.split, self.options, request.seed)
        self.requests = [asked.request for one in self.studied for asked in one.asked]
        classifier = request.classifier and load_classifier(request.classifier, device)
        name = dataset.manifest.name
        self.judge: Embedder | None = request.evaluator and load_judge(
            request.evaluator, device, name, make_encoder
        )
        self.bench = WordJudge(
            self.judge or None, classifier or None, dataset.fps, dataset.skeleton
        )
        self.shown: dict[str, Motions] = {}  # of each row, the motions of the first seed
        low, high = self.model.frame_limits
        self.frames = [min(max(len(r.reference), low), high) for r in self.requests]

    def measure(self) -> dict[str, dict]:
        """Row -> measure -> estimate, over all seeds."""
        first = self.request.seed
        for seed in range(first, first + self.options.seeds):
            self._measure_real(seed)
            plain = [text for one in self.studied for text in one.with_plain()]
            self._measure_generated(PLAIN, self.model, seed, plain)
            for learning in self._learnings():
                self._measure_words(learning, seed)
        plain = {
            row: PLAIN + (PROJECTED if row.endswith(PROJECTED) else "")
            for row in self.bench.rows
            if row.startswith("MTI")
        }
        return self.bench.estimates(plain)

    def _measure_real(self, seed: int) -> None:
        real = [request.reference for request in self.requests]
        self.bench.add(REAL, self.requests, real, seed)
        self.bench.add(REBUILT, self.requests, self.model.rebuild(real), seed)
        if self.judge:
            self.bench.add(RETRIEVED, self.requests, self._retrieved(), seed)

    def _measure_words(self, learning: Learning, seed: int) -> None:
        """Learn every word in one optimisation and measure the motions of its sentences."""
        recipe = {**self.options.recipe, "objective": learning.objective}
        options = build("inversion", recipe, "study.recipe")
        concepts = [one.concept for one in self.studied]
        words = invert(concepts, learning.model, options, seed=seed, progress=True)
        taught = learning.model.with_words({word.word: word.vector for word in words})
        sentences = [text for one in self.studied for text in one.with_word()]
        self._measure_generated(learning.title, taught, seed, sentences)

    def _measure_generated(
        self, title: str, model: MotionModel, seed: int, sentences: Sequence[str]
    ) -> None:
        latents, sampling = DrawnLatents(model, self.request.batch_size), self.request.sampling
        seeds = [derive_seed(seed, "motion", place) for place in range(len(sentences))]
        for name in self.options.project:
            realign = model.project if name == "with" and model.can("project") else None
            motions = latents.generating(sampling, realign)(sentences, self.frames, seeds)
            row = title + (PROJECTED if realign else "")
            self.shown.setdefault(row, motions)
            self.bench.add(row, self.requests, motions, seed)

    def _learnings(self) -> list[Learning]:
        return [
            Learning(f"MTI {objective}{name}", model, objective)
            for name, model in self._models().items()
            for objective in self.options.objectives
        ]

    def _models(self) -> dict[str, MotionModel]:
        """With the run's own projector, then the others, by what their names add to the table."""
        found = {"": self.model}
        for folder in self.request.projectors or (self._beside() if self.options.others else []):
            run = Run(Path(folder))
            name = run.folder.name.removeprefix(f"{self.named.folder.name}-")
            found[f" ({name})"] = self.model.with_projector(run)
        return found

    def _beside(self) -> list[Path]:
        folder = self.named.folder.resolve()
        there = sorted(folder.parent.glob(f"{folder.name}-*"))
        return [path for path in there if Run(path).exists() and Run(path).stage == "projector"]

    def _retrieved(self) -> Motions:
        """The training clip nearest to the exemplars, of the sentence's content where it is known.

        Nearest by the mean distance of the judge's vectors.
        """
        train = self.dataset.split("train")
        vectors = self.judge.embed_motions([train.clip(place) for place in range(len(train))])
        chosen = []
        for one in self.studied:
            own = self.judge.embed_motions(one.concept.motions)
            distance = np.linalg.norm(vectors[:, None] - own[None], axis=-1).mean(axis=1)
            for asked in one.asked:
                content = asked.request.content
                fits = np.array([content in ("", of.get("content", "")) for of in train.labels])
                chosen.append(train.clip(int(np.where(fits, distance, np.inf).argmin())))
        return chosen


def study_words(
    named: Run, dataset: PackedDataset, request: EvaluateRequest, output: Path
) -> Iterator[str]:
    """Measure every row of the study and write the record; then the table, and the picture."""
    check_study(request.study)
    quiet_lightning()
    study = WordStudy(named, dataset, request)
    rows = study.measure()
    about = record(named, dataset, len(study.requests), request)
    table = format_table(rows, COLUMNS)
    write_json(output, {**about, **_found(study, rows)})
    yield (
        f"{len(study.studied)} concepts, {len(study.requests)} sentences, "
        f"{study.options.seeds} seeds; style, content, both and skating: mean ± 95 % over "
        "concepts, the others over seeds\n"
    )
    yield table
    yield f"written: {output}"
    if study.options.figure:
        from lead.studies.words.figure import write_words_figure

        licence = dataset.manifest.licence
        figure = Path(study.options.figure)
        files = write_words_figure(figure, _lines(study), dataset.fps, dataset.skeleton, licence)
        yield f"figure: {', '.join(map(str, files.values()))}"


def _lines(study: WordStudy) -> list[Sequence[tuple[np.ndarray, str]]]:
    """For some concepts, evenly spread: exemplar, plain word, and learned words of two ways.

    Each is shown in the concept's last sentence, which is about another content where there is one.
    """
    ways = [row for row in study.shown if row.startswith("MTI")]
    compared = [row for row in COMPARED if row in ways] or ways[:2]
    rows = [PLAIN + ("" if PLAIN in study.shown else PROJECTED), *compared]
    ends = np.cumsum([len(one.asked) for one in study.studied]) - 1
    count = min(study.options.shown, len(study.studied))
    lines = []
    for place in np.linspace(0, len(study.studied) - 1, count).round().astype(int):
        one, last = study.studied[place], int(ends[place])
        texts = {PLAIN: one.with_plain()[-1]}
        clips = [(one.concept.motions[0], f"exemplar: {one.concept.sources[0]}")]
        for row in rows:
            text = texts.get(row.removesuffix(PROJECTED), one.with_word()[-1])
            clips.append((study.shown[row][last], f"{row}: {text}"))
        lines.append(clips)
    return lines


def check_study(study: StudyOptions) -> None:
    """RequestError for options of a study that cannot work."""
    if study.figure:
        real_place(study.figure, folder=True)
    for key, known in (("objectives", OBJECTIVES), ("project", PROJECT)):
        for name in getattr(study, key):
            if name not in known:
                raise RequestError(f"study.{key}: unknown '{name}', known: {', '.join(known)}")


def _found(study: WordStudy, rows: Mapping[str, Mapping]) -> dict:
    """What the record holds besides the run: rows, and their values by concept and by seed."""
    return {
        "study": study.request.kept["study"],
        "concepts": {
            one.concept.word: {"exemplars": list(one.concept.sources), "plain": one.plain}
            for one in study.studied
        },
        "rows": rows_record(rows),
        "by_concept": {
            name: {measure: row.concept_means(measure) for measure in row.measures}
            for name, row in study.bench.rows.items()
        },
        "by_seed": {
            name: {measure: row.seed_means(measure) for measure in row.measures} | row.sets
            for name, row in study.bench.rows.items()
        },
    }
