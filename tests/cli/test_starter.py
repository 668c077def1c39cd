"""The starter model: which folder it is, how it is packed, and what `lead generate` makes of it."""

import json

import numpy as np
import pytest

from lead.cli import starter
from lead.cli.main import main
from lead.core.errors import RequestError
from lead.core.runs import Run
from lead.generation.known_texts import read_known_texts


@pytest.fixture
def nowhere(world, monkeypatch):
    """A working directory and a checkout without a starter model."""
    monkeypatch.delenv(starter.VARIABLE, raising=False)
    monkeypatch.setattr(starter, "config_folder", lambda: world.here / "checkout" / "configs")
    return world


@pytest.fixture
def packed(nowhere, capfd):
    """The chain as a starter model in the working directory, with a learned word."""
    word = nowhere.here / "old.safetensors"
    motions = f"motions={nowhere.motion}"
    invert = ["invert", f"run={nowhere.run('projector')}", motions, "word=<old>", "init=walks"]
    assert main([*invert, f"output={word}", "inversion.steps=1", "device=cpu"]) == 0
    words = ["export", f"run={nowhere.run('projector')}", "format=starter", f"words=[{word}]"]
    assert main([*words, f"dataset={nowhere.data}", "bits=16"]) == 0
    capfd.readouterr()
    return Run(nowhere.here / "checkpoints" / "starter")


def test_the_variable_then_the_working_directory_then_the_checkout(nowhere, monkeypatch) -> None:
    assert starter.default_run() is None
    checkout = nowhere.file("checkout/checkpoints/starter/run.json", "{}").parent
    assert starter.default_run() == checkout
    nowhere.file("checkpoints/starter/run.json", "{}")
    assert starter.default_run() == starter.PLACE
    named = nowhere.file("mine/run.json", "{}").parent
    monkeypatch.setenv(starter.VARIABLE, str(named))
    assert starter.default_run() == named
    monkeypatch.setenv(starter.VARIABLE, "nowhere")
    with pytest.raises(RequestError, match="LEAD_STARTER=nowhere"):
        starter.default_run()


def test_without_one_generate_says_what_to_name(nowhere, refused) -> None:
    line = refused(nowhere.generate(run=None))
    assert "no starter model" in line and "run=RUN" in line


def test_generate_takes_it_where_no_run_is_named(packed, nowhere, capfd) -> None:
    """Far from its captions or not, it is said in file, index and on stderr alike."""
    texts = nowhere.file("prompts.txt", "a person walks\na <old> person walks\n")
    assert main(nowhere.generate(run=None, prompts=texts)) == 0
    error = capfd.readouterr().err
    clips = json.loads((nowhere.here / "clips" / "index.json").read_text())["clips"]
    assert [clip["text"] for clip in clips] == ["a person walks", "a <old> person walks"]
    remarked = [clip for clip in clips if "remark" in clip]
    assert ("lead: note:" in error) == bool(remarked)
    for number, clip in enumerate(clips):
        with np.load(nowhere.here / "clips" / f"{number:03d}.npz", allow_pickle=False) as stored:
            assert ("provenance.remark" in stored) == ("remark" in clip)


def test_far_sentences_are_remarked_everywhere(packed, nowhere, capfd) -> None:
    known = read_known_texts(Run(packed.folder / "diffusion"))
    assert 0 < known.threshold < 2 and known.facts["captions"] >= len(known.vectors) > 0
    from lead.generation import load_motion_model
    from lead.generation.known_texts import KnownTexts, write_known_texts

    write_known_texts(Run(packed.folder / "diffusion"), KnownTexts(known.vectors, -1.0))
    assert load_motion_model(packed).remarks(["a person walks"])["a person walks"]
    assert main(nowhere.generate(run=None)) == 0
    assert capfd.readouterr().err.count("lead: note: 'a person walks' is far") == 1
    index = json.loads((nowhere.here / "clips" / "index.json").read_text())
    with np.load(nowhere.here / "clips" / "000.npz", allow_pickle=False) as stored:
        assert str(stored["provenance.remark"]) == index["clips"][0]["remark"]


def test_it_needs_nothing_but_its_folder_and_makes_nearly_the_same_motion(packed, nowhere) -> None:
    whole = packed.folder.rename(nowhere.here / "elsewhere")
    joints = []
    for run, output in ((whole, "packed"), (nowhere.run("projector"), "original")):
        assert main(nowhere.generate(run=run, output=nowhere.here / output)) == 0
        with np.load(nowhere.here / output / "000.npz", allow_pickle=False) as stored:
            joints.append(stored["joints"])
    assert 0 < np.abs(joints[0] - joints[1]).max() < 0.05
    assert not list(whole.rglob("*.ckpt"))
    assert str(nowhere.chain) not in "".join(path.read_text() for path in whole.rglob("*.json"))


def test_it_is_refused_where_it_would_be_too_large(nowhere, refused, monkeypatch) -> None:
    from lead.interop import starter as packing

    monkeypatch.setattr(packing, "LARGEST", 1000)
    words = ["export", f"run={nowhere.run('projector')}", "format=starter", "bits=16"]
    line = refused([*words, f"dataset={nowhere.data}"])
    assert "bits=8" in line and "MB" in line


def test_a_run_that_knows_no_text_is_refused(nowhere, refused) -> None:
    line = refused(
        ["export", f"run={nowhere.run('vae')}", "format=starter", f"dataset={nowhere.data}"]
    )
    assert "knows no text" in line
