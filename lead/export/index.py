"""A folder of clips as one list for programs (index.json) and one page for people (index.html)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from lead.core.files import atomic_path, write_json

SCHEMA = 1
PICTURES = ("gif", "webp", "png")  # what the page shows, the first that a clip has

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 2rem; color: #282c34; background: #fafafc; }}
main {{ display: grid; gap: 1.2rem; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); }}
figure {{ margin: 0; padding: .8rem; border: 1px solid #d6dae2; border-radius: .5rem;
  background: #fff; overflow-wrap: anywhere; }}
img, video {{ display: block; width: 100%; height: auto; border-radius: .3rem; }}
small {{ color: #6a7080; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{count}</p>
<main>
{clips}
</main>
</body>
</html>
"""


@dataclass(frozen=True)
class IndexEntry:
    """One clip of the folder; ``files`` maps each format to a file in it, e.g. {"gif": "3.gif"}.

    ``remark`` is what a viewer should know of it, such as that the model hardly knows its sentence.
    """

    text: str
    seed: int
    frames: int
    fps: float | int
    files: Mapping[str, str]  # names in the folder, with forward slashes
    remark: str = ""

    @property
    def seconds(self) -> float:
        """Time the clip is shown for."""
        return self.frames / self.fps


def write_index(
    folder: Path | str, entries: Sequence[IndexEntry], title: str = "Generated motions"
) -> None:
    """Write index.json and index.html into ``folder``, each atomically.

    The page needs no network and no script; it can be moved with its folder.
    """
    folder = Path(folder)
    clips = [
        {
            "text": entry.text,
            "seed": entry.seed,
            "frames": entry.frames,
            "fps": entry.fps,
            "seconds": round(entry.seconds, 3),
            "files": dict(entry.files),
        }
        | ({"remark": entry.remark} if entry.remark else {})
        for entry in entries
    ]
    cards = [*map(_card, entries)]
    page = _PAGE.format(
        title=escape(title),
        count="1 clip" if len(cards) == 1 else f"{len(cards)} clips",
        clips="\n".join(cards),
    )
    write_json(folder / "index.json", {"schema": SCHEMA, "title": title, "clips": clips})
    with atomic_path(folder / "index.html") as temporary:
        temporary.write_text(page, encoding="utf-8")


def _card(entry: IndexEntry) -> str:
    links = " · ".join(
        f'<a href="{_link(name)}">{escape(kind)}</a>' for kind, name in entry.files.items()
    )
    facts = f"seed {entry.seed} · {entry.frames} frames · {entry.seconds:.1f} s · {links}"
    text = escape(entry.text)
    if entry.remark:
        facts = f"{escape(entry.remark)}<br>{facts}"
    return (
        f"<figure>\n{_shown(text, entry.files)}"
        f"<figcaption>{text}<br><small>{facts}</small></figcaption>\n</figure>"
    )


def _shown(text: str, names: Mapping[str, str]) -> str:
    for kind in PICTURES:
        if kind in names:
            return f'<img src="{_link(names[kind])}" alt="{text}" loading="lazy">\n'
    if "mp4" in names:
        return f'<video src="{_link(names["mp4"])}" controls loop muted playsinline></video>\n'
    return ""


def _link(name: str) -> str:
    return escape(quote(name))
