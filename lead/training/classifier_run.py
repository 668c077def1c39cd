"""Stage ``classifier``: from resolved values to module, data and what a run keeps."""

from pathlib import Path

from lead.core.building import build
from lead.core.files import write_tensors
from lead.data.packed import PackedDataset
from lead.evaluation.classifier.held_out import HELD_OUT, TAUGHT, divide_held_out
from lead.training.datamodule import StepDataModule, validation_split
from lead.training.labelled_clips import LabelledClips, classes_of, collate_labelled, evened
from lead.training.stage_module import make_stage_module


def classifier_stage(values: dict, dataset: PackedDataset, folder: Path) -> tuple:
    """Module, data, record and preparation of the stage, for ``train_stage``.

    It learns from the train split and from one half of the held-out styles; the other half and the
    test split it never sees, the val split chooses the checkpoint.
    """
    stage, kinds, seed = values["stage"], values["stage"]["labels"], values["seed"]
    train = dataset.split("train")
    taught = divide_held_out(dataset)[TAUGHT]
    held_out = dataset.split(HELD_OUT) if taught else None
    members = [(train, place) for place in range(len(train))]
    members += [(held_out, place) for place in taught]
    classes = classes_of(members, kinds)
    description = {
        **values["model"]["classifier"],
        "features": dataset.skeleton.features,
        "classes": classes,
    }
    module = make_stage_module(values, network=build("network", description, "model.classifier"))
    chosen = evened(members, kinds)
    learned = LabelledClips(dataset, chosen, classes, crop_min=stage["crop_min"], seed=seed)
    checking = dataset.split(validation_split(dataset))
    checked = LabelledClips(dataset, [(checking, p) for p in range(len(checking))], classes)
    data = StepDataModule(
        *(learned, learned.frames, checked, checked.frames, collate_labelled),
        *(values["stages"]["classifier"]["batch_size"], values["trainer"]["max_steps"], seed),
    )
    record = {"parts": {"network": description}, "parents": {}}

    def keep_statistics() -> None:
        write_tensors(
            folder / "weights" / "normalizer.safetensors", dataset.normalizer.state_dict()
        )

    return module, data, record, keep_statistics
