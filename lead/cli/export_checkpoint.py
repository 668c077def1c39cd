"""``lead export run=RUN format=mld``: a run as a checkpoint of another project."""

from pathlib import Path

from lead.core.errors import RequestError
from lead.core.files import claimed


def export_checkpoint(config: dict) -> int:
    """Write the checkpoint and say with which sizes MLD's configuration has to be."""
    if config["run"] is None:
        raise RequestError("format=mld needs run=RUN: a diffusion run")
    if config["format"] != "mld" or config["motion"] is not None:
        raise RequestError("run=RUN is exported with format=mld alone; for a clip leave run out")
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
