"""Links in the documents lead to something: files, headings and pictures of the repository."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"^( *)(`{3,}|~{3,}).*?^\1\2 *$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as GitHub and the site make them."""
    text = re.sub(
        r"^( *)(`{3,}).*?^\1\2 *$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S
    )
    words = (re.sub(r"[`*_]", "", title).lower() for title in _HEADING.findall(text))
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in words}


def test_every_link_leads_somewhere(document, pages):
    made = {f"docs/generated/{name}" for name in pages.COPIES.values()}
    made |= {"docs/generated/configuration.md", "docs/generated/first_motions.md"}
    text = _CODE.sub("", document.read_text(encoding="utf-8"))
    for target in _LINK.findall(text):
        if re.match(r"https?:|mailto:", target):
            continue
        path, _, heading = target.partition("#")
        found = (document.parent / path).resolve() if path else document
        name = found.relative_to(REPOSITORY).as_posix()
        assert found.exists() or name in made, f"{document}: no {target}"
        if heading and found.suffix == ".md" and found.exists():
            assert heading in anchors(found), f"{document}: no heading {target}"


def test_every_page_is_reached_from_the_first(repository):
    """A page that no table of contents names is a page that nobody finds."""
    docs = repository / "docs"
    reached, left = set(), ["index"]
    while left:
        name = left.pop()
        if name in reached:
            continue
        reached.add(name)
        path = docs / f"{name}.md"
        if not path.is_file():
            assert name.startswith("generated/"), f"docs/{name}.md is in a toctree and missing"
            continue
        for block in re.findall(r"^```\{toctree\}\n(.*?)^```", path.read_text(), re.M | re.S):
            for entry in (line.strip() for line in block.splitlines()):
                if entry and not entry.startswith(":"):
                    found = [p.relative_to(docs) for p in path.parent.glob(f"{entry}.md")]
                    left += [p.with_suffix("").as_posix() for p in found] or [entry]
    every = {p.relative_to(docs).with_suffix("").as_posix() for p in docs.rglob("*.md")}
    lost = {name for name in every - reached if not name.startswith(("_build/", "generated/"))}
    assert not lost, f"not in any toctree: {sorted(lost)}"


def test_links_that_leave_the_docs_are_rewritten_for_the_site(pages, tmp_path):
    page = tmp_path / "docs/results/a.md"
    text = (
        "[d](../../datasets/README.md#sizes) [x](../../configs) [i](../index.md) ![p](../../p.png) "
        "[w](https://example.org) [h](#here)"
    )
    assert pages.site_links(text, page, tmp_path) == (
        "[d](../generated/datasets.md#sizes) x [i](../index.md) ![p](../../p.png) "
        "[w](https://example.org) [h](#here)"
    )


def test_readme_is_short_and_says_what_a_reader_needs(repository):
    text = (repository / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 200
    for part in ("docs/images/generated.gif", "make demo", "@article", "CC BY-NC", "MIT licence"):
        assert part in text
    assert (repository / "docs/images/generated.gif").stat().st_size < 2_000_000
