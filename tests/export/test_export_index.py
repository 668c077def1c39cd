"""The index: true to the clips, and safe whatever the prompt says."""

import json
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lead.export.index import IndexEntry, write_index

NASTY = '<script>alert(\'x\')</script> " onerror="alert(1)" & <b>bold</b> {title} 走る'


class _Page(HTMLParser):
    """Tags with their attributes, and the visible text."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.tags if name == tag]


def folder_with(tmp_path: Path, *names: str) -> Path:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def entry(files: dict, text: str = "a person walks") -> IndexEntry:
    return IndexEntry(text=text, seed=7, frames=90, fps=20, files=files)


def test_lists_each_clip_for_programs_and_people(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "0.gif", "0.npz", "sub/1.webp")
    write_index(
        folder,
        [
            entry({"npz": "0.npz", "gif": "0.gif"}),
            entry({"webp": "sub/1.webp"}, "a person sits"),
        ],
    )
    clips = json.loads((folder / "index.json").read_text(encoding="utf-8"))["clips"]
    assert clips[0] == {
        "text": "a person walks",
        "seed": 7,
        "frames": 90,
        "fps": 20,
        "seconds": 4.5,
        "files": {"npz": "0.npz", "gif": "0.gif"},
    }
    assert clips[1]["files"] == {"webp": "sub/1.webp"}
    page = _Page((folder / "index.html").read_text(encoding="utf-8"))
    assert [picture["src"] for picture in page.all("img")] == ["0.gif", "sub/1.webp"]
    assert [picture["alt"] for picture in page.all("img")] == ["a person walks", "a person sits"]
    for shown in ("2 clips", "a person walks", "seed 7", "90 frames", "4.5 s"):
        assert shown in page.text


def test_prompts_are_text_and_nothing_else(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "0.gif")
    write_index(folder, [entry({"gif": "0.gif"}, NASTY)], title="<i>clips</i>")
    page = _Page((folder / "index.html").read_text(encoding="utf-8"))
    assert NASTY in page.text
    assert "<i>clips</i>" in page.text
    (picture,) = page.all("img")
    assert picture["alt"] == NASTY
    assert set(picture) == {"src", "alt", "loading"}
    assert not {"script", "b", "i"} & {tag for tag, _ in page.tags}
    assert json.loads((folder / "index.json").read_text("utf-8"))["clips"][0]["text"] == NASTY


def test_links_stay_in_the_folder_and_lead_somewhere(tmp_path: Path) -> None:
    names = ["a clip #1?.gif", "100%.npz", "javascript:alert(1).mp4", 'quo"te.webp', "läuft.png"]
    folder = folder_with(tmp_path, *names)
    write_index(folder, [entry({name.rpartition(".")[2]: name for name in names})])
    page = _Page((folder / "index.html").read_text(encoding="utf-8"))
    links = [link["href"] for link in page.all("a")] + [link["src"] for link in page.all("img")]
    assert len(links) == 6
    for link in links:
        parts = urlsplit(link)
        assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", "")
        assert (folder / unquote(parts.path)).is_file()
    outside = [value for _, attributes in page.tags for value in attributes.values()]
    assert not any("//" in (value or "") for value in outside)


def test_a_film_alone_is_shown_as_a_film(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "0.mp4")
    write_index(folder, [entry({"mp4": "0.mp4"})])
    page = _Page((folder / "index.html").read_text(encoding="utf-8"))
    assert [film["src"] for film in page.all("video")] == ["0.mp4"]
    assert page.all("img") == []


def test_a_folder_without_clips_has_an_empty_index(tmp_path: Path) -> None:
    write_index(tmp_path, [])
    assert json.loads((tmp_path / "index.json").read_text("utf-8"))["clips"] == []
    assert "0 clips" in (tmp_path / "index.html").read_text("utf-8")


def test_equal_input_makes_equal_bytes(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "0.gif")
    pages = []
    for _ in range(2):
        write_index(folder, [entry({"gif": "0.gif"})])
        pages.append([(folder / name).read_bytes() for name in ("index.html", "index.json")])
    assert pages[0] == pages[1]
