"""lead invert run=RUN motions=FILES word="<zombie>" init=walk [key=value ...] : motions -> a word.

run=RUN          a projector run (LEAD); with inversion=mld or feat also a diffusion run
motions=A,B      BVH, .npz or .npy (features) files, or folders of them
dataset=DIR      take clips of a prepared dataset: motions=ID,ID, or by style= and content=
split=heldout style=S content=C examples=N   which of its clips; examples=0 (default) takes all
word="<zombie>"  the new word, in angle brackets
init=walk        the plain word that it starts from, one the text encoder has as a whole
concepts=FILE    many words in one go: a YAML or JSONL list of {word, init, motions, ...}
output=FILE      default outputs/words/WORD.safetensors; with concepts= a folder
inversion=I      lead | mld | feat : the objective and its recipe (configs/inversion)
inversion.KEY=V  steps, lr, windows, timestep_max, weighting, ...
templates=T      paper | style | action : the sentences that the word is learned in
actions=A,B      for templates=action: what is done in each motion ("walks forward,bows"), so that
                 the word stands for the manner alone and motions of several contents teach it
projector=RUN    a projector to use with a diffusion run
diffusion=RUN    a denoiser to use with a projector that was trained on a VAE alone
seed=0 device=auto progress=true overwrite=true
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from lead.cli.config import compose
from lead.cli.loading import split_list
from lead.core.errors import RequestError
from lead.core.files import claimed
from lead.core.reading import read_json_lines, read_yaml
from lead.core.schema import ClosedSchema, Count, check

SHOWN = 10


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty")
    return text.strip()


def _spelled(word: str) -> str:
    """The word, which also names its file; ValueError where it is misspelled."""
    from lead.models.text_encoders.learned_words import check_spelling

    try:
        return check_spelling(word)
    except RequestError as error:
        raise ValueError(str(error)) from error


def _listed(names: object) -> object:
    return split_list(names) if isinstance(names, str) else names


Said = Annotated[str, AfterValidator(_said)]
Listed = Annotated[list[str], BeforeValidator(_listed)]


class Entry(ClosedSchema):
    """What one word is learned from: the options of the command, or an entry of concepts=FILE."""

    word: Annotated[Said, Field(max_length=60), AfterValidator(_spelled)]
    init: Said
    motions: Listed
    dataset: str | None
    split: str
    style: str | None
    content: str | None
    examples: Count
    actions: Listed
    templates: list[str]


def run(overrides: Sequence[str]) -> int:
    """Learn one word, or a list of them."""
    config = compose("invert", overrides)
    places, entries = zip(*_entries(config), strict=True)
    with claimed(*(files := _output_files(config, entries))):
        return _learn(config, places, entries, files)


def _learn(
    config: dict, places: Sequence[str], entries: Sequence[Entry], files: Sequence[Path]
) -> int:
    from lead.core.building import build
    from lead.core.devices import choose_device
    from lead.generation.loading import load_text_to_motion
    from lead.training.quiet import quiet_lightning

    options = build("inversion", config["inversion"])
    pipeline = load_text_to_motion(config).to(choose_device(config["device"]))
    concepts = [
        _concept(place, entry, pipeline, config["seed"])
        for place, entry in zip(places, entries, strict=True)
    ]
    quiet_lightning()
    from lead.inversion import write_word
    from lead.training.inversion_stage import invert

    words = invert(concepts, pipeline, options, seed=config["seed"], progress=config["progress"])
    for file, word in zip(files, words, strict=True):
        write_word(file, word)
    _say(config, files, words)
    return 0


def _entries(config: dict) -> list[tuple[str, Entry]]:
    """What to learn, and where that is said; RequestError for what could never be right."""
    if config["run"] is None:
        raise RequestError("invert needs run=RUN: a projector run that `lead train` made")
    base = {key: config[key] for key in Entry.model_fields}
    base["templates"] = config["templates"]["sentences"]
    base["motions"], base["actions"] = (split_list(config[key]) for key in ("motions", "actions"))
    if config["concepts"] is None:
        for key, example in (("word", 'word="<zombie>"'), ("init", "init=walk")):
            if base[key] is None:
                raise RequestError(f"no {key} given: say {example}")
        return [("", check(Entry, base, "invert", "see --help", error=RequestError))]
    if config["word"] is not None:
        raise RequestError("give either word= for one word or concepts=FILE for many")
    path = Path(config["concepts"])
    if path.suffix.lower() == ".jsonl":
        listed = [(f"{path}:{line}", entry) for line, entry in read_json_lines(path, "concepts=")]
    else:
        loaded = read_yaml(path, "concepts=")
        entries = loaded if isinstance(loaded, list) else [loaded] if loaded is not None else []
        listed = [(f"{path}: entry {n}", entry) for n, entry in enumerate(entries, 1)]
    if not listed:
        raise RequestError(f"concepts={path} is empty: list at least one word")
    return [(place, _entry(base, given, place)) for place, given in listed]


def _entry(base: dict, given: object, place: str) -> Entry:
    whole = {**base, **given} if isinstance(given, dict) else given
    return check(Entry, whole, place, "correct the entry", error=RequestError)


def _output_files(config: dict, entries: Sequence[Entry]) -> list[Path]:
    """Where each word goes; RequestError where it cannot, or a file is there already."""
    many = config["concepts"] is not None
    folder = Path(config["output"] if many and config["output"] else "outputs/words")
    files = [folder / f"{entry.word.strip('<>')}.safetensors" for entry in entries]
    if not many and config["output"]:
        files = [Path(config["output"])]
    for file in files:
        if file.exists() and not config["overwrite"]:
            raise RequestError(f"{file} exists: name another output=, or say overwrite=true")
    return files


def _concept(place: str, entry: Entry, pipeline, seed: int):
    from lead.inversion import Concept
    from lead.studies.words.exemplars import choose_motions

    try:
        chosen = choose_motions(entry, pipeline, seed)
        return Concept(
            *(entry.word, entry.init, chosen.motions, chosen.sources),
            *(tuple(entry.templates), chosen.licence, tuple(entry.actions)),
        )
    except RequestError as error:
        raise RequestError(f"{place}: {error}" if place else str(error)) from error


def _say(config: dict, files: Sequence[Path], words: Sequence) -> None:
    for file, word in list(zip(files, words, strict=True))[:SHOWN]:
        facts = word.about
        losses = f"{facts['loss_before']:.4g} -> {facts['loss_after']:.4g}"
        print(f"{file}: {word.word} from {len(facts['sources'])} motions, loss {losses}")
    if len(words) > SHOWN:
        print(f"... {len(words)} words in {files[0].parent}")
    first = f'words=[{files[0]}] text="a {words[0].word} person walks forward"'
    print(f"next: lead generate run={config['run']} {first}")
