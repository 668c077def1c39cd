"""The shipped captions: grammar in every combination, counts, and errors of a phrase book."""

import re
from itertools import product
from pathlib import Path

import pytest

from lead.core.errors import RequestError
from lead.data.captions.mirroring import mirror_caption
from lead.data.captions.phrase_book import PhraseBook, read_phrase_book

CONTENTS = """
bow bye byebye call dance-long dance-short dash guide kick punch respond run slash walk walk-back
walk-left walk-right walk-turn-left walk-turn-right raise-up-both-hands raise-up-left-hand
raise-up-right-hand wave-both-hands wave-left-hand wave-right-hand
"""
STYLES = """
active angry childish children chimpira elderly exhausted feminine giant happy masculine masculinity
musical normal not-confident old proud sad tired youthful
"""
# What the names do not say, measured on the clips: height and travel of both hands and feet.
UNNAMED_SIDES = {
    "bye": {"right"},
    "byebye": {"both"},
    "guide": {"right"},
    "respond": {"left"},
    "kick": {"right"},
}
SIDES = {"left", "right", "both"}
COUNT = 24  # captions drawn per combination


def _sides(content: str) -> set[str]:
    return UNNAMED_SIDES.get(content) or set(content.split("-")) & SIDES


@pytest.fixture(scope="module")
def book() -> PhraseBook:
    return read_phrase_book()


@pytest.fixture(scope="module")
def captions(book: PhraseBook) -> dict[tuple[str, str], tuple[str, ...]]:
    """Many captions of every combination."""
    return {
        (content, style): book.describe(content, style, f"{content} {style}", COUNT)
        for content, style in product(book.contents, book.styles)
    }


def actions_of(book: PhraseBook, content: str) -> list[str]:
    return [reading for entry in book.contents[content] for reading in entry]


def test_the_book_covers_the_collection(book: PhraseBook) -> None:
    assert sorted(book.contents) == sorted(CONTENTS.split())
    assert sorted(book.styles) == sorted(STYLES.split())


def test_at_least_six_paraphrases_a_content_and_three_a_style(book: PhraseBook) -> None:
    for name in book.contents:
        actions = actions_of(book, name)
        assert len(set(actions)) == len(actions) >= 6, name
    for name, style in book.styles.items():
        assert len(set(style.phrases)) == len(style.phrases) >= 3, name


def test_captions_of_one_clip_differ(captions) -> None:
    for texts in captions.values():
        assert len(set(texts)) == len(texts) == COUNT


def test_every_caption_is_a_tidy_sentence(captions) -> None:
    sentence = re.compile(r"[a-z]+(-[a-z]+)?(,? [a-z]+(-[a-z]+)?){1,24}\.")
    for combination, texts in captions.items():
        for text in texts:
            assert sentence.fullmatch(text), (combination, text)
            assert not re.search(r"\b(\w+) \1\b", text), f"a word twice: {text}"


def test_articles_agree_with_the_next_sound(captions, book: PhraseBook) -> None:
    spoken = {text for texts in captions.values() for text in texts}
    for text in spoken.union(book.people, *(style.phrases for style in book.styles.values())):
        for article, word in re.findall(r"\b(an?) (\w+)", text):
            assert article == ("an" if word[0] in "aeiou" else "a"), text


def test_actions_are_verbs_in_the_third_person(book: PhraseBook) -> None:
    for name in book.contents:
        for action in actions_of(book, name):
            verb, *rest = action.split()
            assert verb.endswith("s"), action
            assert verb != "is" or rest[0].endswith("ing"), action


def test_adverbs_stand_before_or_after_the_verb_never_before_is(captions) -> None:
    for texts in captions.values():
        for text in texts:
            assert not re.search(r"\w+ly is \w+ing", text), text


def test_no_preposition_hangs_twice_on_a_verb(captions, book: PhraseBook) -> None:
    known_actions = {content: actions_of(book, content) for content in book.contents}
    for (content, style), texts in captions.items():
        for text in texts:
            for manner in book.styles[style].manners:
                action = text.removesuffix(f" {manner}.")
                known = known_actions[content]
                if action != text and any(action.endswith(f" {one}") for one in known):
                    assert manner.split()[0] not in action.split(), text


def test_sides_are_those_of_the_motion(captions) -> None:
    for (content, _), texts in captions.items():
        for text in texts:
            assert set(re.findall(r"\b(?:left|right|both)\b", text)) == _sides(content), text


def test_left_and_right_contents_mirror_each_other(book: PhraseBook) -> None:
    pairs = [name for name in book.contents if "left" in name.split("-")]
    assert len(pairs) == 4
    for name in pairs:
        mirror = actions_of(book, name.replace("left", "right"))
        assert [mirror_caption(action) for action in actions_of(book, name)] == mirror


def test_every_style_but_normal_is_heard_in_every_caption(captions, book: PhraseBook) -> None:
    for (_, style), texts in captions.items():
        heard = [any(p in text for p in book.styles[style].phrases) for text in texts]
        assert all(heard) or style == "normal"


def test_normal_mostly_adds_nothing(book: PhraseBook) -> None:
    texts = [book.describe("walk", "normal", str(seed), 4) for seed in range(200)]
    texts = [text for four in texts for text in four]
    plain = sum(not any(p in text for p in book.styles["normal"].phrases) for text in texts)
    assert 0.6 < plain / len(texts) < 0.8


def test_no_style_speaks_the_words_of_another(captions, book: PhraseBook) -> None:
    same = ({"childish", "children"}, {"masculine", "masculinity"})
    for name, style in book.styles.items():
        for (_, other), texts in captions.items():
            if other == name or {other, name} in same:
                continue
            phrases = "|".join(map(re.escape, style.phrases))
            assert not re.search(rf"\b(?:{phrases})\b", "\n".join(texts)), (name, other)


def test_the_seed_alone_decides(book: PhraseBook) -> None:
    first = book.describe("run", "sad", "clip 1", 4)
    assert first == read_phrase_book.__wrapped__().describe("run", "sad", "clip 1", 4)
    assert first[:2] == book.describe("run", "sad", "clip 1", 2)
    others = {book.describe("run", "sad", f"clip {n}", 4) for n in range(20)}
    assert len(others) == 20


def test_a_clip_is_told_in_all_entries_before_one_comes_again() -> None:
    wide = "goes by way {" + "|".join(map(str, range(500))) + "}"
    walk = [wide, "walks", "paces"]
    book = PhraseBook(
        people=["a person"], contents={"walk": walk}, styles={"plain": {"plain": 1.0}}
    )
    for seed in "abcdef":
        three = set(book.describe("walk", "plain", seed, 3))
        assert {"a person walks.", "a person paces."} < three


def test_a_small_book_gives_exactly_its_sentences() -> None:
    sad = {"adverbs": ["sadly"], "clauses": ["in tears"]}
    walk = ["{is walking|walks}"]
    book = PhraseBook(people=["a person"], contents={"walk": walk}, styles={"sad": sad})
    expected = {
        "a person is sadly walking.",
        "a person is walking sadly.",
        "a person is walking, in tears.",
        "a person sadly walks.",
        "a person walks sadly.",
        "a person walks, in tears.",
    }
    for seed in "abcdef":
        assert set(book.describe("walk", "sad", seed, 6)) == expected
    with pytest.raises(RequestError, match="different captions"):
        book.describe("walk", "sad", "x", 7)


@pytest.mark.parametrize(("content", "style"), [("swim", "sad"), ("walk", "drunk")])
def test_unknown_words_are_refused_with_advice(book: PhraseBook, content, style) -> None:
    with pytest.raises(RequestError, match="add it to .*bandai_namco.yaml"):
        book.describe(content, style, "x", 1)


HEAD = "people: [a person]\ncontents: {walk: [walks]}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("people: [a person\n", "book.yaml is not valid YAML .* in line 2"),
        ("- a\n", "an object of keys and values expected"),
        ("", "an object of keys and values expected"),
        (HEAD, "it has no 'styles'"),
        (HEAD + "styles: {sad: {adverb: [sadly]}}", "unknown key 'styles.sad.adverb'"),
        (
            HEAD + "styles: {sad: {adverbs: sadly}}",
            "adverbs' takes a list, got 'sadly'",
        ),
        (HEAD + "styles: {sad: {adverbs: [yes]}}", "'styles.sad.adverbs.0' takes a text, got true"),
        (HEAD + "styles: {sad: {adverbs: [' sadly']}}", "no phrase"),
        (HEAD + "styles: {no: {adverbs: [sadly]}}", "takes a text, got false"),
        (
            HEAD + "styles: {sad: {plain: 2}}",
            "plain' takes a number less than or equal to 1",
        ),
        (HEAD + "styles: {sad: {plain: 0.5}}", "has no phrases"),
        (HEAD + f"styles: {{sad: {{adverbs: ['{'{a|b}' * 40}']}}}}", "more than 10000 readings"),
        (HEAD + "styles: !!python/object/apply:os.getcwd []", "not valid YAML"),
    ],
)
def test_a_bad_book_is_a_one_line_error(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "book.yaml"
    path.write_text(text)
    with pytest.raises(RequestError, match=message) as caught:
        read_phrase_book(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_book_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="none.yaml is missing"):
        read_phrase_book(tmp_path / "none.yaml")
