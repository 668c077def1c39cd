"""lead invert run=RUN motions=FILES word="<zombie>" init=walk [key=value ...] : motions -> a word.

run=RUN          a projector run (LEAD); with inversion=mld or feat also a diffusion run, with
                 inversion=mld also a flow (MLA-Gen): the loss that it was trained with
motions=A,B      BVH, AMC (with its ASF), .npz or .npy (features) files, or folders of them
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

from lead.cli.config import compose
from lead.cli.loading import request
from lead.core.errors import RequestError
from lead.core.files import claimed, split_list
from lead.core.schema import check
from lead.studies.words.entries import Entry, read_entries

SHOWN = 10


def run(overrides: Sequence[str]) -> int:
    """Learn one word, or a list of them."""
    config = compose("invert", overrides)
    entries = _entries(config)
    files = _output_files(config, [entry for _, entry in entries])
    with claimed(*files):
        from lead.studies.words.learning import LearnRequest, learn_words

        words = learn_words(entries, files, request(LearnRequest, config))
        _say(config, files, words)
    return 0


def _entries(config: dict) -> list[tuple[str, Entry]]:
    """What to learn, and where that is said; RequestError for what could never be right."""
    if config["run"] is None:
        raise RequestError("invert needs run=RUN, such as run=checkpoints/starter")
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
    return read_entries(Path(config["concepts"]), base)


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


def _say(config: dict, files: Sequence[Path], words: Sequence) -> None:
    for file, word in list(zip(files, words, strict=True))[:SHOWN]:
        facts = word.about
        losses = f"{facts['loss_before']:.4g} -> {facts['loss_after']:.4g}"
        print(f"{file}: {word.word} from {len(facts['sources'])} motions, loss {losses}")
    if len(words) > SHOWN:
        print(f"... {len(words)} words in {files[0].parent}")
    first = f'words=[{files[0]}] text="a {words[0].word} person walks forward"'
    print(f"next: lead generate run={config['run']} {first}")
