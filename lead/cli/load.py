"""``from lead import load``: a motion model in Python, by its name."""

from pathlib import Path
from typing import TYPE_CHECKING

from lead.cli.loading import compose_for_run, request
from lead.cli.paths import config_folder

if TYPE_CHECKING:
    from lead.generation.motion_model import MotionModel

SHIPPED = (Path("checkpoints"), config_folder().parent / "checkpoints")


def load(name: str | Path = "starter", **options: object) -> "MotionModel":
    """The motion model of a run's folder, of a name in checkpoints/, or of OWNER/NAME on the hub.

    ``options`` are those of `lead generate` that make it: sampling="lcm1", projector=, diffusion=,
    device=, precision=, compiled=. By default it draws by the run's own sampling. Words
    in the run's folder ``words`` may stand in sentences.
    """
    from lead.generation.loading import InferenceRequest, load_for_inference, with_words
    from lead.interop.hub import find_run
    from lead.inversion import read_word

    places = [place / name for place in SHIPPED if (place / name / "run.json").is_file()]
    run = find_run(name if not places or (Path(name) / "run.json").is_file() else places[0])
    words = [f"run={run.folder}", *(f"{key}={value}" for key, value in options.items())]
    asked = request(InferenceRequest, compose_for_run("generate", words))
    model = load_for_inference(asked)
    learned = [read_word(path) for path in sorted((run.folder / "words").glob("*.safetensors"))]
    return with_words(model, learned).by_default(asked.sampling)
