"""The sentences that say what the models know, and the forty that test the starter model."""

import re

import pytest

from lead.core.errors import RequestError
from lead.data.captions.phrase_book import read_phrase_book
from lead.data.captions.probes import read_probes

# Articles, pronouns, prepositions, conjunctions; and the sides, which have no other names.
LITTLE_WORDS = (
    *("a", "an", "the", "his", "her", "my", "and", "then", "to", "of", "in", "on", "off", "at"),
    *("as", "with", "for", "from", "along", "across", "down", "over", "toward"),
    *("left", "right", "both"),
)


@pytest.fixture(scope="module")
def rows(repository) -> list[list[str]]:
    text = (repository / "docs" / "results" / "starter_sentences.tsv").read_text()
    return [line.split("\t") for line in text.splitlines()]


def test_forty_sentences_of_ten_contents_in_four_styles_each(rows) -> None:
    book = read_phrase_book()
    assert rows[0] == ["content", "style", "seconds", "sentence"]
    contents = [row[0] for row in rows[1:]]
    assert len(rows) == 41 and len(set(contents)) == 10
    assert {contents.count(content) for content in contents} == {4}
    for content, style, seconds, sentence in rows[1:]:
        assert content in book.contents and style in book.styles and 1 < float(seconds) < 10
        assert sentence == " ".join(sentence.split())
    assert len({row[3] for row in rows}) == 41


def test_their_words_are_in_no_training_caption(rows) -> None:
    book = read_phrase_book()
    phrases = [
        *book.people,
        *(t for all_ in book.contents.values() for entry in all_ for t in entry),
    ]
    for style in book.styles.values():
        phrases += [*style.phrases, *style.people]
    taught = set(re.findall(r"[a-z]+", " ".join(phrases).lower())) - {*LITTLE_WORDS}
    for *_, sentence in rows[1:]:
        assert not taught & set(re.findall(r"[a-z]+", sentence.lower())), sentence


def test_probes_come_in_halves_that_share_nothing(rows) -> None:
    probes = read_probes()
    first, second = probes.halves()
    assert set(first.near) | set(second.near) == set(probes.near)
    assert not set(first.near) & set(second.near) and not set(first.far) & set(second.far)
    assert min(map(len, (first.near, second.near, first.far, second.far))) >= 30
    assert not {row[3] for row in rows} & {*probes.near, *probes.far}


@pytest.mark.parametrize("text", ["", "near: [a]\nfar: [b, c]", "near: [a, b]", "- a", "near: {"])
def test_other_files_are_refused(tmp_path, text) -> None:
    path = tmp_path / "probes.yaml"
    path.write_text(text)
    with pytest.raises(RequestError, match="probes.yaml"):
        read_probes(path)
