"""The run that a stage after the first stands on, and whether it fits."""

import torch

from lead.core.errors import RequestError
from lead.core.runs import Run
from lead.data.packed import PackedDataset
from lead.representation.normalizer import load_normalizer
from lead.training.stage import TrainRequest

STAGE_OF = {"teacher": "diffusion"}
"""The stage of the run that an option names, where it is not the option's own name."""


def earlier_run(request: TrainRequest, key: str, dataset: PackedDataset, wanted: str) -> Run:
    """The run that the option ``key`` names; RequestError where it does not fit the data.

    ``wanted`` says which options would do where none is given.
    """
    if key not in request.earlier:
        raise RequestError(
            f"stage {request.stage} stands on an earlier stage: name its run, {wanted}"
        )
    run, stage = Run(request.earlier[key]), STAGE_OF.get(key, key)
    if run.stage != stage:
        raise RequestError(f"{run.folder} is a {run.stage} run, but {key}= needs a {stage} run")
    if stage == "text_autoencoder":
        return run  # it knows no motions
    skeleton = run.record.dataset.skeleton
    if skeleton != dataset.skeleton.name:
        raise RequestError(
            f"{run.folder} was trained on skeleton '{skeleton}', {dataset.folder} has "
            f"'{dataset.skeleton.name}': use one data set for all stages"
        )
    data_hash = run.record.dataset.data_hash
    if data_hash is None and stage == "autoencoder":
        return run  # its positions are in metres, and stand beside its own statistics
    if data_hash is None:
        _check_statistics(run, dataset)
    elif data_hash != dataset.data_hash and not _knows_motions(run, dataset):
        raise RequestError(
            f"{run.folder} was trained on other data than {dataset.folder} holds now: "
            "train stage 1 on it first"
        )
    return run


def _knows_motions(run: Run, dataset: PackedDataset) -> bool:
    """Whether new captions alone came since a stage 1 that reads none was trained."""
    reads_no_captions = run.stage in ("vae", "autoencoder") and run.record.text_fingerprint is None
    return reads_no_captions and run.record.dataset.data_hash in dataset.manifest.same_motions


def _check_statistics(run: Run, dataset: PackedDataset) -> None:
    """An imported run knows no data set, but how its motions were normalised."""
    own = load_normalizer(run.ancestor("vae"), dataset.skeleton.features)
    for name, statistic in dataset.normalizer.state_dict().items():
        if not torch.allclose(statistic, own.state_dict()[name], rtol=1e-4, atol=1e-5):
            raise RequestError(
                f"{run.folder} was imported with another {name} than {dataset.folder} has: "
                f"import it with mean={dataset.folder / 'Mean.npy'} "
                f"std={dataset.folder / 'Std.npy'}, if it was trained with those"
            )
