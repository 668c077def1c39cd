"""Runs that travel: to and from Hugging Face's hub, each with all that it stands on and its card.

A repository is a run directory with its earlier runs inside, each in a folder named by its stage,
and a model card, README.md. It holds safetensors and JSON alone.
"""

import shutil
import tempfile
from pathlib import Path

from lead.core.errors import RequestError, WorkError, one_line
from lead.core.reading import read_json
from lead.core.runs import Run
from lead.core.schema import shown
from lead.interop.portable import Packing
from lead.models.text_encoders.locate import from_hub, is_plain

FILES = ("*.json", "*.safetensors", "*.md")
CARD = "README.md"


def find_run(name: str | Path) -> Run:
    """The run of a folder, or of a repository OWNER/NAME of the hub, from its local cache first.

    Raises RequestError where there is neither.
    """
    folder = Path(name).expanduser()
    if (folder / "run.json").is_file() or not is_plain("hub", str(name)):
        return Run(folder)
    found = from_hub(str(name), FILES)
    if isinstance(found, Path):
        return Run(found)
    raise RequestError(
        f"{name} is no folder of a run, and the hub did not help ({found:.120}): name a run that "
        "`lead train` made, or OWNER/NAME of a repository"
    )


def push(run: Run | Path | str, repository: str, *, private: bool = True) -> str:
    """Upload a run with all that it stands on; returns the address of the repository.

    ``repository`` is OWNER/NAME, and is made where it is not there; who is logged in to the hub
    (`hf auth login`) has to own it. Raises RequestError for another name and for a run without
    weights, WorkError where the hub refuses.
    """
    if not is_plain("hub", repository):
        raise RequestError(f"repository {shown(repository)} is no OWNER/NAME of the hub")
    from huggingface_hub import HfApi

    run = run if isinstance(run, Run) else Run(run)
    with tempfile.TemporaryDirectory() as folder:
        pack_run(run, Path(folder), repository.partition("/")[2])
        api = HfApi()
        try:
            api.create_repo(repository, private=private, exist_ok=True)
            sent = api.upload_folder(repo_id=repository, folder_path=folder)
        except Exception as error:  # the hub's client raises its HTTP library's errors, too
            raise WorkError(f"{repository} was not uploaded: {one_line(str(error))}") from error
    return str(sent)


def pack_run(run: Run, folder: Path, name: str = "") -> Run:
    """Copy a run and the earlier runs inside it; one with a ``name`` gets a card or keeps its own.

    What only resuming needs, and paths of this machine, are left out.
    """
    packed = Packing(folder).pack(run, folder)
    if (run.folder / "words").is_dir():
        shutil.copytree(run.folder / "words", folder / "words")
    if name:
        own = run.folder / CARD
        text = own.read_text(encoding="utf-8") if own.is_file() else card(run, name)
        (folder / CARD).write_text(text, encoding="utf-8")
    return packed


def card(run: Run, name: str) -> str:
    """The model card of a run: what it is, its data and their licence, and how it is used."""
    record, facts = run.record, run.record.dataset
    shortest, longest = (frames / facts.fps for frames in facts.frames)
    best = ", ".join(f"{key} {value:.6g}" for key, value in record.best.items()) or "unknown"
    environment = run.folder / "environment.json"
    made = read_json(environment).get("revision") if environment.is_file() else None
    text = (record.text_encoder or {}).get("_target_", "none")
    parts = ", ".join(f"{part} ({of['_target_']})" for part, of in record.parts.items())
    stands = ", ".join(record.parents) or "nothing"
    return f"""---
library_name: lead
tags: [text-to-motion, human-motion, {record.stage}]
license: other
---
# {name}

A {record.stage} run of lead: text goes in, human motion comes out.

```python
from lead import load
clips = load("OWNER/{name}").generate(["a person walks forward"], frames=[80], seeds=[1])
```

| | |
|---|---|
| parts | {parts} |
| stands on | {stands} |
| text encoder | {text} |
| skeleton | {facts.skeleton}, {facts.fps:g} frames a second |
| lengths | {shortest:.1f} to {longest:.1f} s |
| data | {facts.name}, {(facts.data_hash or "unknown")[:12]} |
| training | {record.step} steps; best: {best} |
| code | {made or "unknown"} |

## Data and licence

{facts.licence or "Unknown: ask who trained it."}
"""
