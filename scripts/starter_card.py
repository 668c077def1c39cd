"""The model card of the starter model: what stands in its folder, and what was measured of it.

usage: python scripts/starter_card.py checkpoints/starter outputs/starter
"""

import json
import sys
from pathlib import Path

from lead.core.files import atomic_path
from lead.core.reading import read_json
from lead.core.runs import Run
from lead.generation.known_texts import read_known_texts
from lead.interop.starter import folder_sizes

MEASURES = {
    "r_precision_3": "R-precision top 3 ↑",
    "fid": "FID ↓",
    "foot_skating_ratio": "skating ratio ↓",
    "toe_skating_ratio": "of the toes ↓",
    "jitter": "jitter (m/s³) →",
}
CARD = Path(__file__).with_suffix(".md")
FAILURES = Path(__file__).with_name("starter_failures.md")  # seen by looking


def main(folder: Path, measured: Path) -> None:
    """Write ``folder/README.md`` from its runs and the JSON files in ``measured``."""
    run = Run(folder)
    inner = {path.parent.name: Run(path.parent) for path in sorted(folder.glob("*/run.json"))}
    inner["."] = run
    sizes = folder_sizes(folder)
    words = sorted(f"`<{path.stem}>`" for path in (folder / "words").glob("*.safetensors"))
    known = read_known_texts(inner["diffusion"])
    facts = known.facts
    text = CARD.read_text(encoding="utf-8").format(
        folder=folder.as_posix(),
        total=sum(size for name, size in sizes.items() if name != "README.md") / 1e6,
        bits=run.record.packed["bits"],
        parts="\n".join(_part(name, of) for name, of in inner.items()),
        words=", ".join(words) or "none",
        clips="2,453",
        failures=FAILURES.read_text(encoding="utf-8").strip(),
        known=f"farther than {known.threshold:.2f} from the nearest of {facts['captions']:,}. Of "
        f"{facts['near_sentences']} sentences about what it knows {facts['near_called_far']:.0%} "
        f"are called far, of {facts['far_sentences']} others {facts['far_missed']:.0%} are not.",
        replications=_replications(measured / "open.json"),
        table=_table(measured / "open.json", MEASURES),
        **{name: _sentences(measured, name) for name in ("steps", "sentences", "everyday")},
    )
    with atomic_path(folder / "README.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(folder / "README.md")


def _part(name: str, run: Run) -> str:
    count = sum(
        tensor.numel()
        for part in run.record.packed["weights"]
        for tensor in run.tensors(part).values()
    )
    steps = f"{run.record.step:,} steps"
    return f"| `{name}` | {run.stage}: {run.trained_part}, {steps} | {count / 1e6:.1f} M |"


def _replications(file: Path) -> str:
    if not file.is_file():
        return "no replication"
    count = read_json(file)["protocol"]["replications"]
    return f"{count} replication{'s' * (count > 1)}"


def _rows(file: Path) -> dict:
    return read_json(file)["rows"] if file.is_file() else {}


def _table(file: Path, measures: dict[str, str]) -> str:
    rows = _rows(file)
    if not rows:
        return "not measured"
    head = f"| | {' | '.join(measures.values())} |\n|---|{'---:|' * len(measures)}\n"
    return head + "\n".join(
        f"| {name} | {' | '.join(_shown(row.get(key)) for key in measures)} |"
        for name, row in rows.items()
    )


def _shown(value: dict | None) -> str:
    if value is None:
        return "-"
    margin = f" ± {value['margin']:.3f}" if value.get("margin") is not None else ""
    return f"{value['mean']:.3f}{margin}"


def _sentences(measured: Path, name: str) -> str:
    rows = _rows(measured / f"{name}.json")
    if not rows:
        return "not measured"
    columns = list(rows["real clips"])
    short = [name.replace("raise-up", "raise").replace("-hand", "") for name in columns]
    head = f"| | {' | '.join(short)} |\n|---|{'---:|' * len(columns)}\n"
    return head + "\n".join(
        f"| {name} | {' | '.join(_share(row.get(key)) for key in columns)} |"
        for name, row in rows.items()
    )


def _share(value: dict | None) -> str:
    return "-" if value is None else f"{value['mean']:.2f}"


if __name__ == "__main__":
    try:
        main(*map(Path, sys.argv[1:3]))
    except (TypeError, json.JSONDecodeError):
        sys.exit(__doc__)
