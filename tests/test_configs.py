"""Every file under configs composes, and every object that it names can be built from it."""

import importlib
import inspect
from pathlib import Path

import pytest
import torch
import yaml

from lead.cli.config import compose
from lead.cli.main import KINDS, VERBS
from lead.cli.train_request import train_request
from lead.core.building import CLASSES, build
from lead.core.errors import RequestError

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
GROUPS = {
    "data": ("train", "prepare"),
    "stage": ("train",),
    "size": ("train",),
    "text_encoder": ("train", "import"),
    "trainer": ("train",),
    "model/vae": ("train",),
    "model/denoiser": ("train",),
    "model/autoencoder": ("train",),
    "model/flow": ("train",),
    "model/joint_denoiser": ("train",),
    "model/projector": ("train",),
    "model/schedule": ("train",),
    "model/text_autoencoder": ("train",),
    "model/evaluator": ("train",),
    "model/classifier": ("train",),
    "sampling": ("generate", "caption", "evaluate"),
    "inversion": ("invert",),
    "templates": ("invert",),
    "protocol": ("evaluate",),
    "launcher": ("sweep",),
    "study": ("evaluate",),
}
"""Every folder of choices, with the verbs that take it."""

NAMES = (*VERBS, *(f"{verb}_{kind}" for verb, kinds in KINDS.items() for kind in kinds), "sweep")
"""Every verb, of one word or two, and what `lead VERB -m` takes beside the verb's options."""

CHOICES = [
    (verb, group, path.stem)
    for group, verbs in GROUPS.items()
    for verb in verbs
    for path in sorted((CONFIGS / group).glob("*.yaml"))
]
DERIVED = {
    "motion_vae": {"features": 263},
    "timed_vae": {"features": 263},
    "mld_denoiser": {"text_dim": 64},
    "timed_denoiser": {"text_dim": 64},
    "flow_transformer": {"text_dim": 64},
    "projector": {"text_dim": 64},
    "t2m_extractor": {"features": 263},
    "open_extractor": {"features": 263},
    "clip_network": {
        "features": 263,
        "classes": {"style": ("old", "young")},
    },
}
"""Options that follow the dataset or the text encoder, and so stand in no file."""

SIZE_OF = {("model/denoiser", "timed"): "small"}
"""The size that has numbers for a model, where those of the others are not its options."""

KINDS_OF = {"evaluator": "extractor", "classifier": "network"}
"""The kind of a model where it is not called as its group."""

HEAVY = ("clip_b32", "clip_l14", "open_clip_l14", "sentence_t5", "minilm")
"""Text encoders that need files from elsewhere: only their options are checked."""


def test_every_file_is_a_verb_or_a_choice_of_a_known_group():
    files = {str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob("*.yaml")}
    files = {name for name in files if not name.startswith("experiment/")}  # words, not values
    choices = {f"{group}/{name}.yaml" for _, group, name in CHOICES}
    assert files - choices == {f"{name}.yaml" for name in NAMES}


@pytest.mark.parametrize("verb", NAMES)
def test_every_verb_composes_by_default(verb):
    config = compose(verb, [])
    written = yaml.safe_load((CONFIGS / f"{verb}.yaml").read_text())
    assert {key for key in written if key != "defaults"} <= set(config)


@pytest.mark.parametrize(("verb", "group", "name"), CHOICES)
def test_every_choice_composes_and_holds_its_values(verb, group, name):
    """A size has the last word on the models' numbers; `paper` sets no more than those."""
    of = SIZE_OF.get((group, name), "paper")  # whose numbers it is
    size = [f"size={of}"] if verb == "train" and group != "size" else []
    config = compose(verb, [*size, f"{group}={name}"])
    written = yaml.safe_load((CONFIGS / group / f"{name}.yaml").read_text())
    written.pop("defaults", None)
    if group != "size":  # a size goes to the root, the others to their own place
        for key in group.split("/"):
            config = config[key]
    assert_holds(config, written)


def assert_holds(config: dict, written: dict) -> None:
    for key, value in written.items():
        if isinstance(value, dict):
            assert_holds(config[key], value)
        elif not (isinstance(value, str) and "${" in value):
            assert config[key] == value, key


@pytest.mark.parametrize("size", sorted(path.stem for path in (CONFIGS / "size").glob("*.yaml")))
@pytest.mark.parametrize("stage", sorted(p.stem for p in (CONFIGS / "stage").glob("*.yaml")))
def test_the_trainer_takes_its_steps_from_size_and_stage(size, stage):
    config = compose("train", [f"size={size}", f"stage={stage}"])
    chosen = config["stages"][stage]
    assert config["trainer"]["max_steps"] == chosen["max_steps"]
    assert config["trainer"]["validate_every"] == chosen["validate_every"]
    assert config["trainer"]["save_every"] == chosen["validate_every"]
    assert chosen["max_steps"] >= chosen["validate_every"]
    latents = {part: config["model"][part]["latent_dim"] for part in ("vae", "projector")}
    assert latents["vae"] == latents["projector"] == config["model"]["denoiser"]["latent_dim"]


@pytest.mark.parametrize(
    ("group", "name"),
    [(group, name) for verb, group, name in CHOICES if group.startswith("model/")],
)
def test_every_model_can_be_built(group, name):
    size = SIZE_OF.get((group, name), "tiny")
    config = compose("train", [f"{group}={name}", f"size={size}"])
    name = group.partition("/")[2]
    description = config["model"][name]
    given = DERIVED.get(description["_target_"], {})
    with torch.device("meta"):  # shapes alone: the largest has two gigabytes
        assert build(KINDS_OF.get(name, name), description, **given) is not None


@pytest.mark.parametrize("size", sorted(path.stem for path in (CONFIGS / "size").glob("*.yaml")))
def test_every_size_has_only_options_that_its_models_have(size):
    for name, description in compose("train", [f"size={size}"])["model"].items():
        given = DERIVED.get(description["_target_"], {})
        check_options(KINDS_OF.get(name, name), description, given)


@pytest.mark.parametrize("size", sorted(path.stem for path in (CONFIGS / "size").glob("*.yaml")))
@pytest.mark.parametrize("stage", sorted(p.stem for p in (CONFIGS / "stage").glob("*.yaml")))
def test_every_stage_takes_the_options_of_its_files(size, stage):
    """The size has the last word; what the options do not have would be refused."""
    values = compose("train", [f"stage={stage}", f"size={size}", "dataset=d", "run=r"])
    taken = train_request(values).options.model_dump()
    given = {**values["stage"], **values["stages"][stage]}
    changes = values["stages"][stage].get("module", {})
    given |= {**values["stage"]["module"], **changes}
    for place in ("name", "module", "_target_"):
        given.pop(place)
    assert_holds(taken, given)


@pytest.mark.parametrize("name", sorted(p.stem for p in (CONFIGS / "text_encoder").glob("*.yaml")))
def test_every_text_encoder_can_be_built_or_at_least_takes_its_options(name):
    description = compose("train", [f"text_encoder={name}"])["text_encoder"]
    assert description["name"] == name
    check_options("text_encoder", description, {})
    if name not in HEAVY:
        assert build("text_encoder", description).encode(["a person walks", ""]).pooled.shape == (
            *(2, description["dim"]),
        )


@pytest.mark.parametrize("name", sorted(p.stem for p in (CONFIGS / "launcher").glob("*.yaml")))
def test_every_launcher_can_be_built(name):
    assert build("launcher", compose("sweep", [f"launcher={name}"])["launcher"]) is not None


@pytest.mark.parametrize("name", sorted(p.stem for p in (CONFIGS / "data").glob("*.yaml")))
def test_every_source_takes_its_options(name):
    description = compose("prepare", [f"data={name}"])["data"]
    target = find("source", description["_target_"])
    needs_folder = "source" in inspect.signature(target).parameters
    check_options("source", description, {"source": Path("x")} if needs_folder else {})


def check_options(kind: str, description: dict, given: dict) -> None:
    """The class that a description names has exactly these options, or defaults for the rest."""
    parameters = inspect.signature(find(kind, description["_target_"])).parameters
    options = {key for key in description if key != "_target_"} | set(given)
    assert options <= set(parameters)
    needed = {key for key, p in parameters.items() if p.default is p.empty}
    assert needed <= options


def find(kind: str, name: str):
    module, _, attribute = CLASSES[kind][name].rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def test_the_papers_numbers():
    """LEAD section 4 and table 7 of MLD; field names are ours."""
    config = compose("train", ["size=paper", "stage=projector"])
    for part in ("vae", "denoiser", "projector"):
        model = config["model"][part]
        assert (model["layers"], model["heads"], model["feed_forward"]) == (9, 4, 1024)
        assert (model["width"], model["latent_dim"], model["dropout"]) == (256, 256, 0.1)
    assert config["model"]["vae"]["latent_tokens"] == 1
    schedule = config["model"]["schedule"]
    assert (schedule["beta_start"], schedule["beta_end"]) == (0.00085, 0.012)
    assert schedule["num_train_timesteps"] == 1000 and schedule["name"] == "scaled_linear"
    weights = config["stage"]["module"]
    assert weights["align_weight"] == 2.1591
    assert weights["rec_weight"] == 4.7036
    assert weights["var_weight"] == 0.05960
    batches = {name: stage["batch_size"] for name, stage in config["stages"].items()}
    distill = config["stages"].pop("distill")
    assert batches.pop("distill") == distill["batch_size"] == 256
    assert (distill["optimizer"]["lr"], distill["optimizer"]["schedule"]) == (2e-4, "cosine")
    flows = {name: config["stages"].pop(name) for name in ("autoencoder", "flow")}  # ACMDM's
    assert all(batches.pop(name) == own["batch_size"] for name, own in flows.items())
    for name in ("classifier", "captioner"):  # the same for every size, no stage of a paper
        assert batches.pop(name) == config["stages"].pop(name)["batch_size"]
    for name in ("text_autoencoder", "joint_diffusion"):  # MoTe's, which its paper does not tell
        assert batches.pop(name) == config["stages"].pop(name)["batch_size"]
    assert batches == {"vae": 128, "diffusion": 64, "projector": 1024, "evaluator": 128}
    for stage in config["stages"].values():
        assert stage["optimizer"]["lr"] == 1e-4 and stage["optimizer"]["schedule"] == "constant"
    vae = compose("train", ["size=paper", "stage=vae"])["stage"]["module"]
    assert vae["kl_weight"] == 1e-4 and vae["joints_weight"] == 1.0
    diffusion = compose("train", ["stage=diffusion"])["stage"]["module"]
    assert diffusion["condition_dropout"] == 0.1
    sampling = compose("generate", [])["sampling"]
    assert (sampling["sampler"], sampling["steps"], sampling["guidance_scale"]) == ("ddim", 50, 7.5)
    assert sampling["eta"] == 0


@pytest.mark.parametrize(
    ("verb", "word", "message"),
    [
        ("train", "sede=3", "unknown option 'sede' of `lead train`: did you mean 'seed'"),
        ("train", "model.vae.widht=3", "did you mean 'model.vae.width'"),
        ("train", "trainer.max_step=3", "did you mean 'trainer.max_steps'"),
        ("train", "size=tinny", "unknown size 'tinny': did you mean 'tiny'"),
        ("train", "stage=vea", "unknown stage 'vea': did you mean 'vae'"),
        ("train", "text_encoder=clip_l41", "did you mean 'clip_l14'"),
        ("train", "model/projector=skipp", "did you mean 'skip'"),
        ("prepare", "data=bandainamco", "unknown data 'bandainamco': did you mean 'bandai_namco'"),
        ("prepare", "worker=3", "did you mean 'workers'"),
        ("generate", "sampling=ddim5", "did you mean 'ddim50'"),
        ("generate", "sampling.guidance=3", "did you mean 'sampling.guidance_scale'"),
        ("evaluate", "splitt=test", "did you mean 'split'"),
        ("export", "formatt=gif", "did you mean 'format'"),
        ("train", "seed", "'seed' is not an option: write key=value"),
        ("generate", "walks", "'walks' is not an option: write key=value, a sentence in quotes"),
    ],
)
def test_what_is_unknown_gets_one_line_with_what_was_meant(verb, word, message):
    with pytest.raises(RequestError) as error:
        compose(verb, [word])
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "a person walks, then runs",
        "it's \"quoted\" and 'quoted'",
        "back\\slash at the end\\",
        "${not.an.interpolation} $5 {x} [y] (z)",
        "key=value # comment",
        "führt einen Kniefall aus 🕺",
        "null and void",
    ],
)
def test_a_sentence_is_taken_as_it_is(text):
    assert compose("generate", [f"text={text}"])["text"] == text


def test_a_path_is_taken_as_it_is():
    for path in ("/data/with space/and,comma", "C:\\data", "a=b", "[brackets]"):
        assert compose("train", [f"dataset={path}"])["dataset"] == path


def test_motionlcms_numbers():
    """Both versions as published; what the second one changes stands in size mldpp."""
    first, second = (
        compose("train", [f"size={size}", "stage=distill"]) for size in ("paper", "mldpp")
    )
    values = {**first["stage"]["module"]}
    assert (values["w_low"], values["w_high"], values["target_decay"]) == (5.0, 15.0, 0.95)
    assert (values["solver_steps"], values["huber_c"]) == (50, 0.001)
    assert second["stages"]["distill"]["module"] == {"solver_steps": 10, "huber_c": 0.5}
    vae, denoiser = second["model"]["vae"], second["model"]["denoiser"]
    assert (vae["latent_tokens"], vae["latent_dim"], vae["width"]) == (16, 32, 256)
    assert denoiser["relu_before_text"] is False
    for config in (first, second):
        name = config["stages"]["distill"].get("sampling", config["stage"]["sampling"])
        assert compose("generate", [f"sampling={name}"])["sampling"]["sampler"] == "lcm"


def test_a_list_of_numbers_stays_one():
    words = ["sampling=lcm2_skip100"]
    assert compose("generate", words)["sampling"]["timesteps"] == [699, 299]
    assert compose("generate", [*words, "sampling.timesteps=[5]"])["sampling"]["timesteps"] == [5]
    assert compose("generate", [*words, "sampling.timesteps=null"])["sampling"]["timesteps"] is None
    with pytest.raises(RequestError, match="sampling.timesteps takes a list of whole numbers"):
        compose("generate", [*words, "sampling.timesteps=[late]"])
