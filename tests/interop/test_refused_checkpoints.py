"""What a foreign file may be, and how each mistake in it is told: one line, every tensor named."""

import os
import pickle
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lead.core.errors import RequestError, WorkError
from lead.interop import load_mld, load_motionlcm
from lead.interop.checkpoint import SIZES
from lead.interop.names import DENOISER, VAE, to_published
from lead.models.denoiser import MldDenoiser
from lead.models.vae import MotionVAE

BODY = {"latent_dim": 8, "width": 8, "layers": 3, "heads": 2, "feed_forward": 12}
SMALL = {
    "vae": {"features": 263, "latent_tokens": 2, **BODY},
    "denoiser": {"text_dim": 10, **BODY},
}
"""Sizes that a checkpoint written by lead names, so that these files stay small."""


def small_tensors(guidance_dim: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    vae = MotionVAE(**SMALL["vae"])
    denoiser = MldDenoiser(**SMALL["denoiser"], guidance_dim=guidance_dim)
    return {**to_published(vae, VAE), **to_published(denoiser, DENOISER)}


def write(path: Path, tensors: dict, **others: object) -> Path:
    torch.save({"state_dict": tensors, SIZES: SMALL, **others}, path)
    return path


def refused(call, path: Path, *words: str, kind: type = RequestError) -> str:
    with pytest.raises(kind) as error:
        call(path)
    message = str(error.value)
    assert "\n" not in message and str(path) in message
    for word in words:
        assert word in message
    return message


def test_missing_extra_and_misshapen_tensors_are_listed_together(tmp_path):
    tensors = small_tensors()
    del tensors["vae.skel_embedding.bias"], tensors["denoiser.encoder.norm.weight"]
    tensors["vae.final_layer.weight"] = torch.zeros(251, 8)
    tensors["vae.query_pos_encoder.pe"] = torch.zeros(500, 8)
    tensors["denoiser.something.else"] = torch.zeros(1)
    refused(
        *(load_mld, write(tmp_path / "x.ckpt", tensors), "5 tensors do not fit"),
        *("missing vae.skel_embedding.bias", "missing denoiser.encoder.norm.weight"),
        "vae.final_layer.weight is (251, 8), expected (263, 8)",
        "vae.query_pos_encoder.pe is (500, 8), expected (500, 1, 8)",
        "unexpected denoiser.something.else",
    )


def test_half_an_evaluator_is_listed(tmp_path):
    tensors = {**small_tensors(), "t2m_textencoder.hidden": torch.zeros(2, 1, 512)}
    refused(
        *(load_mld, write(tmp_path / "x.ckpt", tensors), "missing t2m_moveencoder.main.0.weight"),
    )


def test_a_long_list_ends_with_a_count(tmp_path):
    torch.save({"state_dict": {"weight": torch.zeros(1)}}, tmp_path / "other.ckpt")
    message = refused(load_mld, tmp_path / "other.ckpt", "more")
    assert len(message) < 3000


def test_the_kinds_of_checkpoint_are_not_mixed_up(tmp_path):
    plain = write(tmp_path / "mld.ckpt", small_tensors())
    refused(load_motionlcm, plain, "missing denoiser.time_embedding.cond_proj.weight")
    tensors = small_tensors(guidance_dim=256)
    distilled = write(tmp_path / "lcm.ckpt", tensors)
    refused(load_mld, distilled, "unexpected denoiser.time_embedding.cond_proj.weight")
    load_motionlcm(distilled)
    refused(lambda path: load_mld(path, "kit"), plain, "expected (8, 251)")
    with pytest.raises(RequestError, match="unknown dataset 'kitt': did you mean 'kit'"):
        load_mld(plain, "kitt")


def test_what_belongs_to_others_may_stand_in_the_file(tmp_path):
    tensors = {
        **small_tensors(),
        "text_encoder.text_model.embeddings.weight": torch.zeros(3),
        "denoiser.mem_pos.pe": torch.zeros(500, 1, 8),
        "TM2TMetrics.count": torch.zeros(1),
    }
    path = write(tmp_path / "x.ckpt", tensors, epoch=3, hparams={"a": [1, 2.0, None]})
    models = load_mld(path)
    assert models.evaluator is None
    pe = tensors["vae.query_pos_encoder.pe"]
    assert torch.equal(models.vae.encoder_positions.pe, pe[:, 0])


class Trap:
    """Pickles to a call of os.system, which makes a file."""

    def __init__(self, made: Path):
        self.made = made

    def __reduce__(self):
        return os.system, (f"touch {self.made}",)


@pytest.mark.parametrize("where", ["torch", "state_dict", "plain pickle"])
def test_a_booby_trap_is_refused_and_never_runs(tmp_path, where):
    made, path = tmp_path / "made", tmp_path / "trap.ckpt"
    if where == "torch":
        torch.save({"state_dict": small_tensors(), "callbacks": Trap(made)}, path)
    elif where == "state_dict":
        torch.save({"state_dict": {**small_tensors(), "x": Trap(made)}}, path)
    else:
        path.write_bytes(pickle.dumps({"state_dict": Trap(made)}))
    for load in (load_mld, load_motionlcm):
        refused(load, path, "refused, nothing in it was executed")
    assert not made.exists()
    subprocess.run(["touch", made], check=True)  # the trap's own command would have left this
    assert made.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "refused"),
        (b"no checkpoint at all", "refused"),
        ([1, 2], "holds a list"),
        ({"state_dict": {}}, "state_dict is empty"),
        ({"state_dict": {"vae.x": "word"}}, "'vae.x' is a str, not a tensor"),
        ({"epoch": 3}, "'epoch' is a int, not a tensor"),
    ],
)
def test_files_that_are_no_checkpoints(tmp_path, content, words):
    path = tmp_path / "x.ckpt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    refused(load_mld, path, words)


def test_a_missing_and_a_cut_file(tmp_path):
    refused(load_mld, tmp_path / "none.ckpt", "is no file")
    path = write(tmp_path / "cut.ckpt", small_tensors())
    path.write_bytes(path.read_bytes()[:-500])
    refused(load_mld, path, "refused")
    (tmp_path / "cut.safetensors").write_bytes(b"12345678{")
    refused(load_mld, tmp_path / "cut.safetensors", "not a whole", kind=WorkError)


def test_safetensors_and_plain_dictionaries_are_read(shapes, make_tensors, tmp_path):
    """Full-sized, since these name no sizes; the evaluator stays away."""
    tensors = {
        name: tensor
        for name, tensor in make_tensors("mld_humanml3d").items()
        if not name.startswith("t2m_")
    }
    save_file(tensors, tmp_path / "x.safetensors")
    torch.save(tensors, tmp_path / "x.pt")
    one, other = (load_mld(tmp_path / name) for name in ("x.safetensors", "x.pt"))
    for part in ("vae", "denoiser"):
        state = getattr(other, part).state_dict()
        for name, tensor in getattr(one, part).state_dict().items():
            assert torch.equal(tensor, state[name])
    assert one.descriptions["vae"]["latent_tokens"] == 1


def test_sizes_of_a_foreign_file_are_numbers_or_nothing(tmp_path):
    """The note that lead leaves in its own files cannot be used to name code or options."""
    tensors = small_tensors()
    path = tmp_path / "x.ckpt"
    sizes = {**SMALL, "vae": {**SMALL["vae"], "_target_": "os.system", "dropout": 3, "layers": 3}}
    torch.save({"state_dict": tensors, SIZES: sizes}, path)
    models = load_mld(path)
    assert models.descriptions["vae"]["_target_"] == "motion_vae"
    assert models.descriptions["vae"].get("dropout") != 3
    torch.save({"state_dict": tensors, SIZES: "nonsense"}, path)
    refused(load_mld, path, "do not fit")
