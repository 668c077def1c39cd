"""`lead invert` from files, folders and datasets, the word in `lead generate`, every refusal."""

import json

import numpy as np
import pytest
import torch

from lead.cli.main import main
from lead.data.bvh.joints import load_bvh_joints
from lead.data.sources.cmu_open import CmuOpenSource
from lead.inversion import read_word

LIGHT = ("inversion.steps=2", "progress=false", "device=cpu")


@pytest.fixture
def invert(world):
    """Words of an inversion that would work; options replace or add, None leaves one out."""

    def words(**options) -> list[str]:
        values = {"run": world.run("projector"), "motions": world.motion, "word": "<zombie>"}
        values |= {"init": "walk", "output": world.here / "zombie.safetensors", **options}
        given = [f"{key.replace('__', '.')}={value}" for key, value in values.items()]
        return ["invert", *LIGHT, *(word for word in given if not word.endswith("=None"))]

    return words


def first_ids(world, count: int) -> list[str]:
    return json.loads((world.data / "train.index.json").read_text())["id"][:count]


def test_from_a_motion_file_to_a_sentence(world, invert, capsys):
    assert main(invert()) == 0
    said = capsys.readouterr().out
    file = world.here / "zombie.safetensors"
    assert f"{file}: <zombie> from 1 motions, loss " in said and "next: lead generate run=" in said
    word = read_word(file)
    assert (word.word, word.about["objective"], word.about["lr"]) == ("<zombie>", "lead", 0.3)
    assert word.about["sources"] == [str(world.motion)] and file.stat().st_size < 5000
    for sentence in ("a <zombie> person waves", "<Zombie>, waves"):
        arguments = world.generate(text=sentence, words=f"[{file}]", overwrite="true")
        assert main(arguments) == 0
    with np.load(world.here / "clips" / "000.npz") as clip:
        assert str(clip["text"]) == "<Zombie>, waves"
        assert str(clip["provenance.words"]) == f"[{file}]"
        assert np.isfinite(clip["joints"]).all()


def test_from_bvh_features_and_a_folder_of_both(world, invert):
    world.figure("folder/walk.bvh")
    with np.load(world.motion) as clip:
        np.save(world.here / "folder" / "walk.npy", clip["features"])
    folder = world.here / "folder"
    for number, motions in enumerate(
        (folder, f"{folder}/walk.bvh", f"[{folder}/walk.bvh, {folder}/walk.npy]")
    ):
        file = world.here / f"{number}.safetensors"
        assert main(invert(motions=motions, output=file, inversion="mld")) == 0
        assert len(read_word(file).about["sources"]) == (1 if number == 1 else 2)
    whole, listed = (read_word(world.here / f"{n}.safetensors") for n in (0, 2))
    assert torch.equal(whole.vector, listed.vector)


@pytest.mark.parametrize("name", ["walk.amc", "WALK.AMC"])
def test_from_amc_as_from_its_joints(world, invert, acclaim_figure, name):
    acclaim_figure(frames=241).write(world.here / "amc", "walk", "walk")
    path = (world.here / "amc" / "walk.amc").rename(world.here / "amc" / name)
    np.save(world.here / "walk.npy", load_bvh_joints(path))
    vectors = []
    for motions in (path, path.parent, world.here / "walk.npy"):
        file = world.here / f"{len(vectors)}.safetensors"
        assert main(invert(motions=motions, output=file, inversion="feat")) == 0
        word = read_word(file)
        assert len(word.about["sources"]) == 1  # the skeleton beside it is no motion
        vectors.append(word.vector)
    assert torch.equal(vectors[0], vectors[1]) and torch.equal(vectors[0], vectors[2])


def test_clips_of_a_dataset_by_id(world, invert):
    names = first_ids(world, 2)
    assert main(invert(dataset=world.data, motions=",".join(names))) == 0
    word = read_word(world.here / "zombie.safetensors")
    assert word.about["sources"] == names and word.about["licence"] == CmuOpenSource.licence


def test_a_manner_from_motions_of_several_contents(world, invert, refused):
    names = first_ids(world, 2)
    clips = {"dataset": world.data, "motions": ",".join(names), "templates": "action"}
    assert main(invert(**clips, actions="[walks forward, takes a bow]")) == 0
    word = read_word(world.here / "zombie.safetensors")
    assert word.about["actions"] == ["walks forward", "takes a bow"]
    assert "a <*> person {action}" in word.about["templates"]
    wrong = refused(invert(**clips, actions="walks forward", overwrite="true"))
    assert "<zombie> has 2 motions and 1 actions, give one for each" in wrong


def test_clips_of_a_dataset_by_label(world, invert, refused):
    data = world.copy_data()
    index = json.loads((data / "train.index.json").read_text())
    for place, labels in enumerate(index["labels"]):
        labels.update(style="zombie" if place < 4 else "plain", content=f"move {place % 2}")
    (data / "train.index.json").write_text(json.dumps(index))
    by_style = {"dataset": data, "motions": None, "split": "train", "style": "zombie"}
    assert main(invert(**by_style)) == 0
    word = read_word(world.here / "zombie.safetensors")
    assert word.about["sources"] == index["id"][:4]
    chosen = {**by_style, "content": "move 1", "examples": 1, "overwrite": "true"}
    assert main(invert(**chosen)) == 0
    (source,) = read_word(world.here / "zombie.safetensors").about["sources"]
    assert source in (index["id"][1], index["id"][3])
    wrong = refused(invert(**{**by_style, "style": "mummy", "overwrite": "true"}))
    assert "no clip of style=mummy in split 'train'; styles there: plain, zombie" in wrong
    both = {"motions": index["id"][0], "overwrite": "true"}
    assert "by motions=ID,ID, or choose them by style=" in refused(invert(**{**by_style, **both}))


def test_many_words_in_one_go_are_those_of_one_by_one(world, invert):
    world.figure("b.bvh")
    listed = [
        {"word": "<aa>", "init": "walk", "motions": str(world.motion)},
        {"word": "<bb>", "init": "bow", "motions": [str(world.here / "b.bvh")]},
    ]
    file = world.file("concepts.jsonl", "\n".join(map(json.dumps, listed)) + "\n")
    folder = world.here / "words"
    many = {"motions": None, "word": None, "init": None, "concepts": file, "output": folder}
    assert main(invert(**many)) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["aa.safetensors", "bb.safetensors"]
    alone = {"motions": world.here / "b.bvh", "word": "<bb>", "init": "bow"}
    assert main(invert(**alone)) == 0
    one, other = read_word(folder / "bb.safetensors"), read_word(world.here / "zombie.safetensors")
    torch.testing.assert_close(one.vector, other.vector, atol=1e-5, rtol=0)
    yaml_file = world.file("concepts.yaml", "- {word: <cc>, init: run, templates: [a <*>]}\n")
    shared = {**many, "motions": world.motion, "concepts": yaml_file}
    assert main(invert(**shared)) == 0
    assert (folder / "cc.safetensors").is_file()


def test_the_script_is_the_verb(repository):
    text = (repository / "scripts" / "invert.py").read_text()
    assert 'main(["invert", *sys.argv[1:]])' in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"run": None}, "invert needs run=RUN"),
        ({"word": None}, 'no word given: say word="<zombie>"'),
        ({"init": None}, "no init given: say init=walk"),
        ({"motions": None}, "no motions: give motions=FILE"),
        ({"motions": "nowhere.bvh"}, "motions=nowhere.bvh is no file"),
        ({"motions": None, "style": "zombie"}, "choose from a dataset: name it, dataset=DIR"),
        ({"word": "zombie"}, "written in angle brackets"),
        ({"init": "walk slowly"}, "'walk slowly' is 2 pieces"),
        ({"inversion": "laed"}, "unknown inversion 'laed': did you mean 'lead'"),
        ({"inversion__lr": 0}, "'lr' takes a number greater than 0"),
        ({"inversion__lr": 1e300}, "inversion.lr takes a number from"),
        ({"inversion__lr": 1e3}, "'lr' takes a number less than or equal to 100"),
        ({"inversion__steps": 10**8}, "'steps' takes a number less than or equal to 10000"),
        ({"inversion__batch_size": 10**12}, "inversion.batch_size takes a whole number from 1 to"),
        ({"inversion__windows": 10**8}, "'windows' takes a number less than"),
        ({"inversion___target_": "os.system"}, "no inversion is called 'os.system'"),
        ({"inversion___target_": "motion_vae"}, "no inversion is called 'motion_vae'"),
        ({"inversion__timestep_max": 5000}, "the last timestep of the run is 999"),
        ({"inversion__objective": "leda"}, "'objective': unknown 'leda'"),
        ({"templates__sentences": "[a person]"}, "template 'a person' has no <*>"),
        ({"examples": -1}, "examples takes a whole number from 0"),
        ({"concepts": "nowhere.yaml"}, "give either word= for one word or concepts=FILE"),
        ({"word": None, "concepts": "nowhere.yaml"}, "concepts=nowhere.yaml is missing"),
    ],
)
def test_wrong_options_are_one_line(invert, refused, options, message):
    assert message in refused(invert(**options))


def test_a_run_without_a_projector_serves_the_other_objectives(world, invert, refused):
    plain = {"run": world.run("diffusion")}
    assert "objective 'lead' needs a projector" in refused(invert(**plain))
    assert main(invert(**plain, inversion="feat")) == 0
    assert "which knows no text" in refused(invert(run=world.run("vae"), overwrite="true"))


def test_motions_that_cannot_be_learned_from_are_one_line(world, invert, refused):
    short = world.figure("short.bvh", frames=9)
    assert f"{short} has 9 frames, too short" in refused(invert(motions=short))
    with np.load(world.motion) as clip:
        features = clip["features"].copy()
        entries = dict(clip)
    features[3, 7] = np.nan
    path = world.here / "nan.npy"
    np.save(path, features)
    assert f"{path} holds a value that is not finite" in refused(invert(motions=path))
    np.save(path, features[:, :100])
    assert "expected (frames, 263) of a floating-point type" in refused(invert(motions=path))
    path.write_bytes(b"nothing")
    assert "Python objects, which are never loaded" in refused(invert(motions=path))
    other = world.here / "fast.npz"
    np.savez(other, **{**entries, "fps": np.array(30.0)})
    assert "has 30 frames a second, the run 20" in refused(invert(motions=other))
    np.savez(other, **{**entries, "features": features})
    assert "not finite" in refused(invert(motions=other))
    text = short.read_text()
    stranger = world.file("stranger.bvh", text.replace("LeftUpLeg", "Flipper"))
    assert "no skeleton map" in refused(invert(motions=stranger))
    values = text.splitlines()
    values[-1] = values[-1].replace(values[-1].split()[0], "nan", 1)
    broken = world.file("broken.bvh", "\n".join(values))
    assert str(broken) in refused(invert(motions=broken))
    empty = world.here / "empty"
    empty.mkdir()
    assert "holds no motion file" in refused(invert(motions=empty))
    text_file = world.file("walk.txt", "a walk")
    assert "is no motion file: give .bvh, .amc, .npz, .npy" in refused(invert(motions=text_file))
    wrong = refused(invert(dataset=world.data, motions="nobody"))
    assert "has no clip 'nobody': ids are such as" in wrong


def test_a_concept_list_with_a_mistake_names_its_place(world, invert, refused):
    many = {"motions": None, "word": None, "init": None, "output": world.here / "words"}
    entry = {"word": "<aa>", "init": "walk", "motions": str(world.motion)}
    for content, message in [
        ("", "is empty"),
        ("{", ":1: not valid JSON"),
        (json.dumps({**entry, "style": "\ud800"}), ":1: not valid JSON"),
        (json.dumps({**entry, "int": "walk"}), ":1: unknown key 'int', did you mean 'init'"),
        (json.dumps({**entry, "word": None}), ":1: 'word' takes a text, got null"),
        (json.dumps({**entry, "motions": 3}), ":1: 'motions' takes a list, got 3"),
        (json.dumps({**entry, "examples": "all"}), ":1: 'examples' takes a whole number"),
        (json.dumps({**entry, "motions": "x.bvh"}), ":1: motions=x.bvh is no file"),
        ("[1]", ":1: an object of keys and values expected"),
        (f"{json.dumps(entry)}\n{json.dumps(entry)}", "<aa> is to be learned twice"),
    ]:
        file = world.file("list.jsonl", content)
        given = refused(invert(**many, concepts=file))
        assert message in given, (content, given)


def test_a_word_file_is_not_replaced_unasked(world, invert, refused):
    world.file("zombie.safetensors", "mine")
    assert "exists: name another output=, or say overwrite=true" in refused(invert())


def test_words_that_generate_cannot_use_are_one_line(world, invert, refused):
    assert main(invert()) == 0
    file = world.here / "zombie.safetensors"
    copy = world.file("copy.safetensors", file.read_bytes())

    def generate(text="a <zombie> walks", words=file):
        return refused(world.generate(text=text, words=words))

    assert "no word file teaches <zombie>" in generate(words=None)
    assert "no word file teaches <mummy>" in generate("a <zombie> and a <mummy>")
    assert "<zombie> stands in no sentence" in generate("a person walks")
    assert "two of the word files teach <zombie>" in generate(words=f"{file},{copy}")
    assert "is missing: give a word file" in generate(words="nowhere.safetensors")
    weights = world.generate(text="a", words=world.run("vae") / "weights/vae.safetensors")
    assert "is of another kind" in refused(weights, 1)
    assert "stands behind the end of what" in generate("walks " * 100 + "<zombie>")
    stranger = read_word(file)
    from dataclasses import replace

    from lead.inversion import write_word

    write_word(copy, replace(stranger, encoder="0" * 64))
    assert "was learned with text encoder 'hash'" in generate(words=copy)
