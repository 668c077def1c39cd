"""Stage ``evaluator``: from resolved values to module, data and what a run keeps."""

from collections.abc import Sequence
from pathlib import Path

from lead.core.building import build
from lead.core.freezing import freeze
from lead.data.packed import PackedDataset
from lead.evaluation.extractor.glove import read_glove
from lead.evaluation.extractor.parts import judge_entry, keep_beside_weights
from lead.evaluation.extractor.words import Vocabulary, vocabulary_of
from lead.training.datamodule import StepDataModule, validation_split
from lead.training.pairs import PairDataset, keep_pairs, split_tokens
from lead.training.stage_module import make_stage_module


def evaluator_stage(values: dict, dataset: PackedDataset, folder: Path) -> tuple:
    """Module, data, record and preparation of the stage, for ``train_stage``."""
    glove = values["stage"]["glove"]
    published = read_glove(Path(glove)) if glove else None
    train = dataset.split("train")
    tagger = "spacy" if published or _has_tokens(train.tokens) else "words"
    tokens = split_tokens(train, tagger)
    description = {**values["model"]["evaluator"], "features": dataset.skeleton.features}
    if published:
        vocabulary, words = published
        description["word_dim"] = words.vectors.shape[1]
        freeze(words)
    else:
        vocabulary = vocabulary_of(caption for clip in tokens for caption in clip)
    table = {"_target_": "word_vectors", "words": len(vocabulary.words)}
    table["dim"] = description["word_dim"]
    if not published:
        words = build("words", table, "model.evaluator")
    extractor = build("extractor", description, "model.evaluator")
    module = make_stage_module(values, extractor=extractor, words=words)
    record = {
        "parts": {"extractor": description, "words": table},
        "parents": {},
        "judge": judge_entry(f"lead-{dataset.manifest.name}-{values['size_name']}", tagger),
    }

    def keep_statistics() -> None:
        keep_beside_weights(folder, dataset.normalizer, vocabulary)

    data = _pairs(values, dataset, tokens, vocabulary, tagger)
    return module, data, record, keep_statistics


def _has_tokens(tokens: Sequence[Sequence[str]]) -> bool:
    return all(own for clip in tokens for own in clip)


def _pairs(
    values: dict, dataset: PackedDataset, tokens: list, vocabulary: Vocabulary, tagger: str
) -> StepDataModule:
    crop_min, seed = values["stage"]["crop_min"], values["seed"]
    train = PairDataset(dataset, "train", tokens, vocabulary, crop_min=crop_min, seed=seed)
    split = validation_split(dataset)
    held_out = split_tokens(dataset.split(split), tagger)
    validation = PairDataset(dataset, split, held_out, vocabulary, seed=seed)
    return StepDataModule(
        *(train, train.frames, validation, validation.frames, keep_pairs),
        *(values["stages"]["evaluator"]["batch_size"], values["trainer"]["max_steps"], seed),
    )
