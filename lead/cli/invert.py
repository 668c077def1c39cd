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

import json
from collections.abc import Sequence
from pathlib import Path

from lead.cli.config import compose
from lead.cli.loading import split_list
from lead.cli.outputs import check_output_file
from lead.core.errors import RequestError, did_you_mean

CONCEPT_KEYS = (
    *("word", "init", "motions", "dataset", "split", "style", "content", "examples"),
    *("actions", "templates"),
)
SHOWN = 10


def run(overrides: Sequence[str]) -> int:
    """Learn one word, or a list of them."""
    config = compose("invert", overrides)
    entries = _entries(config)
    for entry in entries:
        _check_entry(entry)
    files = _output_files(config, entries)

    from lead.cli.loading import choose_device, load_text_to_motion
    from lead.cli.train import quiet_lightning
    from lead.core.building import build

    options = build("inversion", config["inversion"])
    pipeline = load_text_to_motion(config).to(choose_device(config["device"]))
    concepts = [_concept(entry, pipeline, config["seed"]) for entry in entries]
    quiet_lightning()
    from lead.inversion import write_word
    from lead.training.inversion_stage import invert

    words = invert(concepts, pipeline, options, seed=config["seed"], progress=config["progress"])
    for file, word in zip(files, words, strict=True):
        write_word(file, word)
    _say(config, files, words)
    return 0


def _entries(config: dict) -> list[dict]:
    """What to learn: the options CONCEPT_KEYS of each word."""
    if config["run"] is None:
        raise RequestError("invert needs run=RUN: a projector run that `lead train` made")
    base = {key: config[key] for key in CONCEPT_KEYS}
    base["motions"], base["actions"] = (split_list(config[key]) for key in ("motions", "actions"))
    base["templates"] = config["templates"]["sentences"]
    if config["concepts"] is None:
        return [base]
    if config["word"] is not None:
        raise RequestError("give either word= for one word or concepts=FILE for many")
    path = Path(config["concepts"])
    entries = []
    for place, given in _listed(path):
        for key in given:
            if key not in CONCEPT_KEYS:
                raise RequestError(f"{place}: unknown key '{key}': {did_you_mean(key, base)}")
        entry = {**base, **given}
        for key in ("motions", "actions"):
            if isinstance(entry[key], str):
                entry[key] = split_list(entry[key])
        entries.append({**entry, "place": place})
    return entries


def _listed(path: Path) -> list[tuple[str, dict]]:
    """Each entry of a YAML or JSONL list with its place in the file."""
    import yaml

    if not path.is_file():
        raise RequestError(f"concepts={path} is no file: give a YAML or JSONL list")
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".jsonl":
            lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
            listed = [(f"{path}:{number}", json.loads(line)) for number, line in lines]
        else:
            loaded = yaml.safe_load(text)
            entries = loaded if isinstance(loaded, list) else [loaded]
            listed = [(f"{path}: entry {n}", entry) for n, entry in enumerate(entries, 1)]
    except (UnicodeDecodeError, json.JSONDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise RequestError(f"concepts={path} cannot be read: {reason}") from error
    for place, entry in listed:
        if not isinstance(entry, dict):
            raise RequestError(f"{place}: give word, init and motions, not {entry!r:.60}")
    if not listed:
        raise RequestError(f"concepts={path} is empty: list at least one word")
    return listed


def _check_entry(entry: dict) -> None:
    """RequestError for values that no motion and no model could make right."""
    place = f"{entry['place']}: " if "place" in entry else ""
    for key, example in (("word", 'word="<zombie>"'), ("init", "init=walk")):
        if not isinstance(entry[key], str) or not entry[key].strip():
            raise RequestError(f"{place}no {key} given: say {example}")
    for key in ("motions", "actions", "templates"):
        if not isinstance(entry[key], list) or not all(isinstance(v, str) for v in entry[key]):
            raise RequestError(f"{place}{key} takes a list of texts")
    if type(entry["examples"]) is not int or entry["examples"] < 0:
        raise RequestError(f"{place}examples takes a number from 0 (all) up")


def _output_files(config: dict, entries: Sequence[dict]) -> list[Path]:
    """Where each word goes; RequestError where it cannot, or a file is there already."""
    many = config["concepts"] is not None
    folder = Path(config["output"] if many and config["output"] else "outputs/words")
    files = [folder / f"{entry['word'].strip('<>').lower()}.safetensors" for entry in entries]
    if not many and config["output"]:
        files = [Path(config["output"])]
    for file in files:
        check_output_file(file)
        if file.exists() and not config["overwrite"]:
            raise RequestError(f"{file} exists: name another output=, or say overwrite=true")
    return files


def _concept(entry: dict, pipeline, seed: int):
    from lead.cli.exemplars import choose_motions
    from lead.inversion import Concept

    try:
        chosen = choose_motions(entry, pipeline, seed)
        return Concept(
            *(entry["word"], entry["init"].strip(), chosen.motions, chosen.sources),
            *(tuple(entry["templates"]), chosen.licence, tuple(entry["actions"])),
        )
    except RequestError as error:
        if "place" not in entry:
            raise
        raise RequestError(f"{entry['place']}: {error}") from error


def _say(config: dict, files: Sequence[Path], words: Sequence) -> None:
    for file, word in list(zip(files, words, strict=True))[:SHOWN]:
        facts = word.about
        losses = f"{facts['loss_before']:.4g} -> {facts['loss_after']:.4g}"
        print(f"{file}: {word.word} from {len(facts['sources'])} motions, loss {losses}")
    if len(words) > SHOWN:
        print(f"... {len(words)} words in {files[0].parent}")
    first = f'words=[{files[0]}] text="a {words[0].word} person walks forward"'
    print(f"next: lead generate run={config['run']} {first}")
