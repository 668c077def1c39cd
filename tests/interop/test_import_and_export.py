"""Checkpoints become run directories that other commands take, and runs become checkpoints."""

import dataclasses
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from lead.cli.config import compose
from lead.cli.main import main
from lead.cli.train_request import train_request
from lead.core.building import build
from lead.core.run_record import SCHEMA_VERSION
from lead.core.runs import Run
from lead.data.contents import STAMPS
from lead.data.packing import pack
from lead.data.sources.cmu_open import CmuOpenSource
from lead.evaluation.extractor import FeatureExtractor
from lead.generation import Sampling, load_motion_model
from lead.interop import load_mld, load_motionlcm
from lead.interop.checkpoint import SIZES
from lead.interop.names import DENOISER, VAE, to_published
from lead.models.denoiser import MldDenoiser
from lead.models.vae import MotionVAE
from lead.representation.normalizer import Normalizer
from lead.training.stages import train_stage

HASH = ("text_encoder=hash", "text_encoder.dim=12")
BODY = {"latent_dim": 16, "width": 16, "layers": 3, "heads": 2, "feed_forward": 24}
SIZED = {
    "vae": {"features": 263, "latent_tokens": 2, **BODY},
    "denoiser": {"text_dim": 12, **BODY},
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("datasets") / "humanml3d"
    pack(CmuOpenSource(clips=16), folder, workers=1)
    return folder


def write_checkpoint(path: Path, guidance_dim: int) -> Path:
    torch.manual_seed(2)
    vae, denoiser = (
        MotionVAE(**SIZED["vae"]),
        MldDenoiser(**SIZED["denoiser"], guidance_dim=guidance_dim),
    )
    if guidance_dim:
        torch.nn.init.normal_(denoiser.guidance_layer.weight)
    tensors = {**to_published(vae, VAE), **to_published(denoiser, DENOISER)}
    torch.save({"state_dict": tensors, SIZES: SIZED}, path)
    return path


def lead(capfd, *words: object, code: int = 0) -> str:
    capfd.readouterr()
    assert main([str(word) for word in words]) == code, capfd.readouterr().err
    out, err = capfd.readouterr()
    assert "Traceback" not in err
    return out + err


def imported(capfd, source: str, folder: Path, dataset: Path) -> Path:
    guidance_dim = 256 if source == "motionlcm" else 0
    path = write_checkpoint(folder / "foreign.ckpt", guidance_dim)
    lead(
        *(capfd, "import", f"source={source}", f"checkpoint={path}", f"output={folder / 'runs'}"),
        *(f"mean={dataset / 'Mean.npy'}", f"std={dataset / 'Std.npy'}", *HASH),
    )
    return folder / "runs"


@pytest.mark.parametrize("source", ["mld", "motionlcm"])
def test_imported_runs_generate_what_the_loaded_networks_compute(capfd, tmp_path, dataset, source):
    runs = imported(capfd, source, tmp_path, dataset)
    pipeline = load_motion_model(Run(runs / "diffusion"))
    models = (load_mld if source == "mld" else load_motionlcm)(tmp_path / "foreign.ckpt")
    for name in ("vae", "denoiser"):
        state = getattr(models, name).state_dict()
        for key, tensor in getattr(pipeline, name).state_dict().items():
            assert torch.equal(tensor, state[key])
    sampling = Sampling("lcm", steps=1) if source == "motionlcm" else Sampling(steps=2)
    z = pipeline.sample(["a person walks"], [20], [3], sampling, project=False)
    assert z.shape == (1, 2, 16) and torch.isfinite(z).all()
    assert np.allclose(pipeline.normalizer.mean, np.load(dataset / "Mean.npy"))
    record = Run(runs / "diffusion").contents
    assert record["imported"]["project"] == source and record["dataset"]["data_hash"] is None
    out = lead(
        *(capfd, "generate", f"run={runs / 'diffusion'}", "text=a person walks", "seconds=3"),
        *("formats=[npz]", "sheet=false", f"output={tmp_path / 'clips'}", "device=cpu"),
        *(["sampling.steps=2"] if source == "mld" else []),
    )
    assert "1 clips" in out
    with np.load(tmp_path / "clips" / "000.npz", allow_pickle=False) as clip:
        assert clip["joints"].shape == (60, 22, 3)
        used = json.loads(str(clip["provenance"]))["sampling"] if "provenance" in clip else ""
    assert used in ("", "ddim 2 x7.5", "lcm 1 x7.5")


class Tagged(CmuOpenSource):
    """Synthetic motions with the word classes that HumanML3D's captions have."""

    name = "humanml3d"

    def list_items(self):
        def tag(caption):
            return dataclasses.replace(caption, tokens="a/DET person/NOUN walk/Act_VIP")

        return [
            dataclasses.replace(item, captions=tuple(tag(c) for c in item.captions))
            for item in super().list_items()
        ]


def write_evaluator(folder: Path) -> Path:
    """A random evaluator in the published layout: weights, statistics, word vectors."""
    torch.manual_seed(4)
    rng = np.random.default_rng(4)
    tensors = FeatureExtractor(263).state_dict()
    networks = {name.partition(".")[0] for name in tensors}
    weights = folder / "t2m/text_mot_match/model/finest.tar"
    meta, glove = folder / "t2m/Comp_v6_KLD01/meta", folder / "glove"
    for place in (weights.parent, meta, glove):
        place.mkdir(parents=True)
    content = {
        network: {k.partition(".")[2]: v for k, v in tensors.items() if k.startswith(network + ".")}
        for network in networks
    }
    torch.save(content, weights)
    np.save(meta / "mean.npy", rng.normal(size=263))
    np.save(meta / "std.npy", rng.uniform(0.5, 2, size=263))
    names = ["sos", "eos", "unk", "a", "person", "walk"]
    np.save(glove / "our_vab_data.npy", rng.normal(size=(6, 300)))
    (glove / "our_vab_words.pkl").write_bytes(pickle.dumps(names))
    (glove / "our_vab_idx.pkl").write_bytes(pickle.dumps({name: n for n, name in enumerate(names)}))
    return folder


def test_an_imported_evaluator_judges_like_its_files(capfd, tmp_path):
    data = tmp_path / "humanml3d"
    pack(Tagged(clips=40), data, workers=1)
    runs = imported(capfd, "mld", tmp_path, data)
    files, judge = write_evaluator(tmp_path / "deps"), tmp_path / "judge"
    lead(
        capfd, "import", "source=t2m", f"checkpoint={files}", "dataset=humanml3d", f"output={judge}"
    )
    records = []
    for evaluator in (judge, files):
        output = tmp_path / f"{evaluator.name}.json"
        out = lead(
            *(capfd, "evaluate", f"run={runs / 'diffusion'}", "protocol=t2m", f"dataset={data}"),
            *(f"evaluator={evaluator}", f"output={output}", "device=cpu", "sampling.steps=2"),
            *("protocol.replications=2", "protocol.pool_size=4", "protocol.diversity_pairs=4"),
            *("protocol.multimodality_texts=2", "protocol.multimodality_repeats=3"),
            "protocol.multimodality_pairs=2",
        )
        assert out.startswith(
            "REAL IS NOT AS PUBLISHED"
        )  # random networks are not the published ones
        records.append(json.loads(output.read_text()))
    imported_one, from_files = records
    assert imported_one["evaluator"]["name"] == "t2m-humanml3d"
    assert imported_one["evaluator"]["fingerprint"] == from_files["evaluator"]["fingerprint"]
    assert imported_one["rows"] == from_files["rows"]


def projector_values(runs: Path, dataset: Path, folder: Path) -> dict:
    words = (
        *("stage=projector", "size=tiny", *HASH, f"dataset={dataset}", f"run={folder}"),
        *("model.projector.latent_dim=16", "model.projector.width=16", "trainer.threads=1"),
        *("stages.projector.batch_size=4", "stages.projector.max_steps=2"),
        *("stages.projector.validate_every=1", "trainer.progress=false"),
        *("trainer.accelerator=cpu", "trainer.precision=fp32", f"diffusion={runs / 'diffusion'}"),
    )
    values = compose("train", words)
    del values["data"]
    return values


def test_a_projector_is_trained_on_an_imported_run(capfd, tmp_path, dataset):
    runs = imported(capfd, "mld", tmp_path, dataset)
    run = train_stage(train_request(projector_values(runs, dataset, tmp_path / "projector")))
    assert load_motion_model(run).projector is not None
    other = tmp_path / "other"
    shutil.copytree(dataset, other, ignore=shutil.ignore_patterns(STAMPS))
    np.save(other / "Mean.npy", np.load(other / "Mean.npy") + 0.1)
    with pytest.raises(Exception, match="imported with another mean than") as error:
        train_stage(train_request(projector_values(runs, other, tmp_path / "again")))
    assert "\n" not in str(error.value)


def test_import_takes_the_statistics_of_the_prepared_data_set(
    capfd, tmp_path, dataset, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    path = write_checkpoint(tmp_path / "foreign.ckpt", 0)
    words = ("import", "source=mld", f"checkpoint={path}", *HASH)
    assert "name mean=Mean.npy" in lead(capfd, *words, code=2)
    assert not Path("checkpoints").exists()
    shutil.copytree(dataset, "datasets/humanml3d")
    lead(capfd, *words)
    assert Run(Path("checkpoints/mld-humanml3d/diffusion")).exists()
    assert "exists" in lead(capfd, *words, code=2)
    lead(capfd, *words, "overwrite=true")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("source=mdl",), "unknown source 'mdl': did you mean 'mld'"),
        ((), "import needs source=S"),
        (("source=mld",), "needs checkpoint=FILE: name the checkpoint"),
        (("source=mld", "dataset=kitt", "checkpoint={here}"), "did you mean 'kit'"),
        (("source=mld", "checkpoint={here}", "mean=a.npy"), "mean and std go together"),
        (("source=mld", "checkpoint={here}", "mean=a.npy", "std=b.npy"), "a.npy is missing"),
        (("source=mld", "checkpoint={here}", "mean={here}", "std={here}"),
         "holds Python objects, which are never loaded"),
        (("source=motionlcm", "checkpoint={here}", "dataset=kit", "mean={mean}", "std={mean}"),
         "for humanml3d alone"),
        (("source=mld", "checkpoint={here}", "dataset=kit", "mean={wide}", "std={wide}"),
         "expected (251,)"),
    ],
)  # fmt: skip
def test_wrong_requests_write_nothing(capfd, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    np.save("mean.npy", np.ones(251))
    np.save("wide.npy", np.ones(263))
    Path("here.ckpt").write_bytes(b"x")
    places = {"here": "here.ckpt", "mean": "mean.npy", "wide": "wide.npy"}
    out = lead(capfd, "import", *(word.format(**places) for word in words), code=2)
    assert message in out and len(out.strip().splitlines()) == 1
    assert not Path("checkpoints").exists()


def make_runs(folder: Path, **options: dict) -> Run:
    """A diffusion run with untrained weights, all layers random; ``options`` by part."""
    torch.manual_seed(4)
    descriptions = {
        "vae": {"_target_": "motion_vae", **SIZED["vae"]},
        "denoiser": {"_target_": "mld_denoiser", **SIZED["denoiser"]},
    }
    parts = {part: {**own, **options.get(part, {})} for part, own in descriptions.items()}
    data = {"name": "made", "skeleton": "humanml3d", "fps": 20.0, "frames": [10, 60]}
    vae, diffusion = Run(folder / "vae"), Run(folder / "diffusion")
    rng = np.random.default_rng(0)
    vae.save_part("normalizer", Normalizer(rng.normal(size=263), rng.random(263) + 1).state_dict())
    for run, part, parents in ((vae, "vae", {}), (diffusion, "denoiser", {"vae": vae})):
        run.save_part(part, build(part, parts[part]).state_dict())
        schedule = {"_target_": "noise_schedule", **options.get("noise", {})}
        run.update(
            schema=SCHEMA_VERSION,
            stage="vae" if part == "vae" else "diffusion",
            parts={part: parts[part], "schedule": schedule},
            parents={name: parent.as_parent(run.folder) for name, parent in parents.items()},
            text_encoder={"_target_": "hash"},
            dataset=data,
        )
    return diffusion


def test_an_exported_run_has_mlds_names_and_loads_again(capfd, tmp_path, shapes):
    run = make_runs(tmp_path, denoiser={"text_scale": 4.0, "dropout": 0.0})
    output = tmp_path / "lead.ckpt"
    out = lead(capfd, "export", f"run={run.folder}", "format=mld", f"output={output}")
    assert "latent_dim [2, 16]" in out and "strict=False" in out
    content = torch.load(output, weights_only=True)
    layers = ("blocks.1", "blocks.2", "blocks.3")
    wanted = {
        name
        for name in shapes("mld_humanml3d")
        if not name.startswith("t2m_") and not any(layer in name for layer in layers)
    }
    assert set(content["state_dict"]) == wanted  # three layers in place of nine
    assert not any(tensor.requires_grad for tensor in content["state_dict"].values())
    models = load_mld(output)
    own = {"vae": run.ancestor("vae").load_part("vae"), "denoiser": run.load_part("denoiser")}
    for tensor, other in zip(
        models.vae.state_dict().values(), own["vae"].state_dict().values(), strict=True
    ):
        assert torch.equal(tensor, other)
    z, text = torch.randn(2, 2, 16), torch.randn(2, 1, 12)
    timestep = torch.tensor([3, 700])
    with torch.no_grad():
        torch.testing.assert_close(
            models.denoiser(z, timestep, text), own["denoiser"].eval()(z, timestep, text)
        )
    mean = np.load(tmp_path / "lead_mean.npy")
    assert np.array_equal(mean, run.ancestor("vae").tensors("normalizer")["mean"].numpy())


def test_import_then_export_gives_the_same_tensors(capfd, tmp_path, dataset):
    runs = imported(capfd, "mld", tmp_path, dataset)
    lead(
        *(capfd, "export", f"run={runs / 'diffusion'}", "format=mld"),
        f"output={tmp_path / 'back.ckpt'}",
    )
    before, after = (
        torch.load(tmp_path / name, weights_only=True)["state_dict"]
        for name in ("foreign.ckpt", "back.ckpt")
    )
    assert set(after) - set(before) == {"denoiser.mem_pos.pe"}
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vae": {"logvar_offset": -6.0}}, "vae.logvar_offset=-6.0"),
        ({"denoiser": {"relu_before_text": False}}, "denoiser.relu_before_text=false"),
        ({"denoiser": {"guidance_dim": 8}}, "denoiser.guidance_dim=8"),
        ({"vae": {"latent_dim": 4}, "denoiser": {"latent_dim": 4}}, "all of one width"),
        ({"denoiser": {"text_dim": 16}}, "no text layer"),
        ({"noise": {"name": "linear"}}, "another noise schedule"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_mld_has_no_counterpart_of_is_refused(capfd, tmp_path, options, message):
    run = make_runs(tmp_path, **options)
    output = tmp_path / "lead.ckpt"
    words = ("export", f"run={run.folder}", "format=mld", f"output={output}")
    out = lead(capfd, *words, code=2)
    assert message in out and len(out.strip().splitlines()) == 1
    assert not output.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("format=mld",), "needs run=RUN"),
        (("format=gif", "run=x"), "format=mld or starter alone"),
        (("format=mld", "run=x"), "needs output=FILE"),
        (("format=mld", "run=x", "output=y.ckpt"), "x is not a run directory"),
    ],
)
def test_wrong_export_requests(capfd, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    assert message in lead(capfd, "export", *words, code=2)


def test_the_config_of_import_offers_what_the_command_reads(repository):
    written = yaml.safe_load((repository / "configs" / "import.yaml").read_text())
    assert set(written) - {"defaults"} == {
        *("source", "checkpoint", "autoencoder", "output", "dataset", "mean", "std", "overwrite")
    }
