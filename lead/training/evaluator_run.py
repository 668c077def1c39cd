"""Stage ``evaluator``: from resolved values to module, data and what a run keeps."""

from pathlib import Path

import numpy as np
from torch import Tensor

from lead.core.building import build, known_name
from lead.data.caption_kinds import KIND
from lead.data.packed import PackedDataset
from lead.data.shared_captions import Readable, readable_captions
from lead.evaluation.extractor.open_networks import OpenExtractor
from lead.evaluation.extractor.parts import judge_entry, keep_beside_weights
from lead.evaluation.extractor.words import EncodedCaptions
from lead.training.caption_readers import CaptionReader, read_sentences, read_words
from lead.training.datamodule import StepDataModule, validation_split
from lead.training.pairs import PairDataset, keep_pairs
from lead.training.stage_module import make_stage_module

OPEN = "open_extractor"


def evaluator_stage(values: dict, dataset: PackedDataset, folder: Path) -> tuple:
    """Module, data, record and preparation of the stage, for ``train_stage``.

    No caption of a test clip is read in training (``lead.data.shared_captions``).
    """
    readable = readable_captions(dataset)
    description = {**values["model"]["evaluator"], "features": dataset.skeleton.features}
    if known_name("extractor", description.get("_target_")) == OPEN:
        reader = read_sentences(values, dataset)
    else:
        reader = read_words(values, dataset, readable)
    description["word_dim"] = reader.width
    extractor = build("extractor", description, "model.evaluator")
    captions = reader.encode("train", readable.places)
    if isinstance(extractor, OpenExtractor):
        extractor.fit(captions)
    module = make_stage_module(values, extractor=extractor, words=reader.words)
    name = f"lead-{dataset.manifest.name}-{values['size_name']}"
    record = {
        "parts": {"extractor": description, **reader.parts},
        "parents": {},
        "judge": judge_entry(name, reader.tagger),
        "captions": {"left_out": dict(readable.left_out), "lines_kept": dict(readable.lines)},
        **reader.record,
    }

    def keep_statistics() -> None:
        keep_beside_weights(folder, dataset.normalizer, reader.vocabulary)

    return module, _pairs(values, dataset, reader, readable, captions), record, keep_statistics


def _pairs(
    values: dict,
    dataset: PackedDataset,
    reader: CaptionReader,
    readable: Readable,
    captions: EncodedCaptions | Tensor,
) -> StepDataModule:
    stage, seed = values["stage"], values["seed"]
    train = PairDataset(
        *(dataset, "train", captions, readable.places),
        crop_min=stage["crop_min"],
        seed=seed,
    )
    split = validation_split(dataset)
    every = [range(len(captions)) for captions in dataset.split(split).captions]
    validation = PairDataset(dataset, split, reader.encode(split, every), every, seed=seed)
    kinds = [labels.get(KIND) for labels in train.clips.split.labels]
    often = np.array(
        [
            stage["often"].get(kind, 1) if own else 0
            for kind, own in zip(kinds, readable.places, strict=True)
        ]
    )
    return StepDataModule(
        *(train, train.frames, validation, validation.frames, keep_pairs),
        *(values["stages"]["evaluator"]["batch_size"], values["trainer"]["max_steps"], seed),
        weights=train.clips.split.weights * often,
    )
