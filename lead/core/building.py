"""From a plain description to an object: ``{"_target_": "motion_vae", "width": 256, ...}``.

The same description stands in the YAML files and in each run directory. It names its class by a
short name of the table below, in the kind that is wanted there, and nothing else is ever imported:
a run directory from elsewhere cannot name code to execute or files to write.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping

from lead.core.errors import RequestError, did_you_mean
from lead.core.schema import check_options, shown

HOLDS: dict[str, tuple[str, ...]] = {
    "vae": ("vae",),
    "diffusion": ("denoiser", "schedule"),
    "autoencoder": ("autoencoder",),
    "flow": ("flow",),
    "text_autoencoder": ("text_autoencoder",),
    "joint_diffusion": ("joint_denoiser", "schedule"),
    "captioner": ("text_autoencoder",),
    "projector": ("projector",),
    "distill": ("denoiser", "schedule"),
    "evaluator": ("extractor", "words"),
    "classifier": ("network",),
}
"""Each stage, and the parts that a run of it describes; the first is the one that it trained.

Stage ``some_name`` is the class ``SomeNameStage`` in lead/training/some_name_stage.py.
"""

CLASSES: dict[str, dict[str, str]] = {
    "vae": {
        "motion_vae": "lead.models.vae.MotionVAE",
        "timed_vae": "lead.models.timed_vae.TimedVae",
    },
    "denoiser": {
        "mld_denoiser": "lead.models.denoiser.MldDenoiser",
        "timed_denoiser": "lead.models.timed_denoiser.TimedDenoiser",
    },
    "autoencoder": {"joint_autoencoder": "lead.models.joint_autoencoder.JointAutoencoder"},
    "flow": {"flow_transformer": "lead.models.flow_transformer.FlowTransformer"},
    "text_autoencoder": {
        "text_autoencoder": "lead.models.text_autoencoder.TextAutoencoder",
    },
    "joint_denoiser": {"joint_denoiser": "lead.models.joint_denoiser.JointDenoiser"},
    "projector": {"projector": "lead.models.projector.Projector"},
    "extractor": {
        "open_extractor": "lead.evaluation.extractor.open_networks.OpenExtractor",
        "t2m_extractor": "lead.evaluation.extractor.networks.FeatureExtractor",
    },
    "words": {"word_vectors": "lead.evaluation.extractor.words.WordVectors"},
    "network": {"clip_network": "lead.evaluation.classifier.network.ClipNetwork"},
    "schedule": {"noise_schedule": "lead.diffusion.schedules.make_schedule"},
    "text_encoder": {
        "clip": "lead.models.text_encoders.clip.ClipTextEncoder",
        "hash": "lead.models.text_encoders.hash.HashTextEncoder",
        "minilm": "lead.models.text_encoders.minilm.MiniLmEncoder",
        "open_clip": "lead.models.text_encoders.open_clip.OpenClipTextEncoder",
        "sentence_t5": "lead.models.text_encoders.sentence_t5.SentenceT5Encoder",
    },
    "source": {
        "bandai_namco": "lead.data.sources.bandai_namco.BandaiNamcoSource",
        "bvh": "lead.data.sources.bvh.BvhSource",
        "cmu": "lead.data.sources.cmu.CmuSource",
        "cmu_open": "lead.data.sources.cmu_open.CmuOpenSource",
        "humanml3d": "lead.data.sources.humanml3d.HumanML3DSource",
        "kitml": "lead.data.sources.kitml.KitMlSource",
        "mix": "lead.data.sources.mix.MixSource",
        "style100": "lead.data.sources.style100.Style100Source",
    },
    "stage": {
        f"{name}_stage": f"lead.training.{name}_stage.{name.title().replace('_', '')}Stage"
        for name in HOLDS
    },
    "inversion": {"inversion": "lead.inversion.options.InversionOptions"},
    "protocol": {"protocol": "lead.evaluation.protocol.Protocol"},
    "launcher": {
        "joblib": "lead.sweeps.launchers.JoblibLauncher",
        "local": "lead.sweeps.launchers.LocalLauncher",
        "submitit": "lead.sweeps.launchers.SubmititLauncher",
    },
}
"""Kind -> short name -> the class, or the function that makes one. Nothing else can be named."""

NETWORKS = (
    *("vae", "denoiser", "autoencoder", "flow", "projector", "extractor", "words", "network"),
    *("text_autoencoder", "joint_denoiser"),
)
PARTS = (*NETWORKS, "schedule")
"""The kinds that a run describes under ``parts``, each under its own name."""


def build(kind: str, description: object, /, where: str = "", **extra: object):
    """Build the object of a kind that ``description`` names.

    ``extra`` adds keyword arguments, ``where`` is how messages call the description. Raises
    RequestError for a name that is not in the table, for options that the class does not have or
    that are out of their limits, and for networks of more numbers than ``lead.core.sizes`` allows.
    """
    make, options = read_description(kind, description, where, **extra)
    if kind in NETWORKS:
        from lead.core.sizes import check_numbers

        check_numbers(lambda: make(**options), where or kind)
    return make(**options)


def read_description(
    kind: str, description: object, /, where: str = "", **extra: object
) -> tuple[Callable, dict]:
    """The class that a description names and the options that it gives; errors as ``build``."""
    where = where or kind
    if not isinstance(description, Mapping):
        raise RequestError(f"{where} takes an object of keys and values, with a _target_")
    try:
        name = known_name(kind, description.get("_target_"))
    except ValueError as error:
        raise RequestError(f"{where}: {error}") from error
    make = find_class(kind, name)
    given = {key: value for key, value in description.items() if key != "_target_"}
    return make, check_options(make, {**given, **extra}, where)


def find_class(kind: str, name: str) -> Callable:
    """The class, or the function that makes one, of a short name of the table."""
    module, _, attribute = CLASSES[kind][name].rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def full_options(kind: str, description: object, where: str = "") -> dict[str, object]:
    """All options of what a description names, those that it leaves out by their default."""
    make, given = read_description(kind, description, where)
    parameters = inspect.signature(make).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    return {**defaults, **given}


def check_fit(options: Mapping, where: str, **wanted: object) -> None:
    """RequestError where one of the ``wanted`` options is there and has another value."""
    for name, value in wanted.items():
        if options.get(name, value) != value:
            raise RequestError(
                f"{where}: {name} is {shown(options[name])}, what it works with has {value}: "
                "make the two equal"
            )


def known_name(kind: str, name: object) -> str:
    """The short name of a class of this kind; ValueError for a name that is not in the table."""
    if not isinstance(name, str) or name not in CLASSES[kind]:
        hint = did_you_mean(name[:100] if isinstance(name, str) else "", CLASSES[kind])
        raise ValueError(f"no {kind} is called {shown(name)}: {hint}")
    return name
