"""``lead export run=RUN format=mld|starter``: a run as MLD has it, or runs as a folder to ship."""

from pathlib import Path

from lead.cli.outputs import STARTER, output_folder
from lead.core.errors import RequestError
from lead.core.files import claimed, split_list

DEFAULT = "checkpoints/starter"


def export_checkpoint(config: dict) -> int:
    """Write the checkpoint and say with which sizes MLD's configuration has to be."""
    if config["run"] is None:
        raise RequestError("format=mld needs run=RUN: a diffusion run")
    if config["format"] != "mld" or config["motion"] is not None:
        raise RequestError("run=RUN is for format=mld or starter alone; for a clip leave run out")
    if config["output"] is None:
        raise RequestError("format=mld needs output=FILE, such as output=lead.ckpt")
    output = Path(config["output"])
    evaluator = Path(config["evaluator"]) if config["evaluator"] else None
    with claimed(output):
        from lead.core.runs import Run
        from lead.interop.mld_export import write_mld

        sizes = write_mld(Run(Path(config["run"])), output, evaluator)
    vae, denoiser = sizes["vae"], sizes["denoiser"]
    print(f"{output}, with {output.stem}_mean.npy and {output.stem}_std.npy beside it")
    print(
        f"MLD's options: latent_dim [{vae['latent_tokens']}, {vae['latent_dim']}]; "
        + "; ".join(
            f"{name}: num_layers {of['layers']}, num_heads {of['heads']}, "
            f"ff_size {of['feed_forward']}"
            for name, of in (("motion_vae", vae), ("denoiser", denoiser))
        )
        + f", text_encoded_dim {denoiser['text_dim']}"
    )
    if evaluator is None:
        print("without the evaluator's tensors: load with strict=False, or name evaluator=FILE")
    return 0


def export_starter(config: dict) -> int:
    """Pack the runs and say what the folder holds."""
    if config["run"] is None:
        raise RequestError("format=starter needs run=RUN: a run that generates")
    if config["motion"] is not None:
        raise RequestError("format=starter packs runs: leave motion files out")
    output = Path(config["output"] or DEFAULT)
    with output_folder(output, STARTER, overwrite=config["overwrite"]):
        return _pack(config, output)


def _pack(config: dict, output: Path) -> int:
    from lead.core.runs import Run
    from lead.data.packed import open_dataset
    from lead.interop.starter import folder_sizes, pack_starter

    run = Run(Path(config["run"]))
    dataset = open_dataset(config["dataset"] or run.default_dataset)
    words = [Path(path) for path in split_list(config["words"])]
    beside = [Run(Path(path)) for path in split_list(config["beside"])]
    options = {key: config[key] for key in ("bits", "overwrite")}
    packed = pack_starter(run, dataset, output, beside=beside, words=words, **options)
    sizes = folder_sizes(packed.folder)
    for name, size in sizes.items():
        print(f"{size / 1e6:8.2f} MB  {name}")
    print(f"{packed.folder}: {sum(sizes.values()) / 1e6:.1f} MB")
    return 0
