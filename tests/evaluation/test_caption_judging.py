"""The protocol of captions: who is compared with what, and which way the judge ranks."""

from dataclasses import replace

import numpy as np
import pytest

from lead.core.errors import RequestError
from lead.evaluation import caption_wording, captioning
from lead.evaluation.caption_judging import run_captioning
from lead.evaluation.caption_wording import Written
from lead.evaluation.estimate import estimate
from lead.evaluation.protocol import Protocol
from lead.evaluation.real_clips import RealClips
from lead.representation import get_skeleton

POOL, CLIPS = 4, 10
PROTOCOL = Protocol(
    **{"name": "open", "version": 4, "datasets": ["toy"], "split": "test", "pool_size": POOL},
    **{"replications": 3, "confidence": 0.95, "crop": "whole", "constant_bones": False},
    **dict.fromkeys(("diversity_pairs", "multimodality_texts", "multimodality_repeats"), 1),
    **dict.fromkeys(("multimodality_pairs", "multimodality_sets", "unit_length"), 1),
    published={},
)
VERBS = ("walks", "runs", "sits", "jumps", "waves", "bows", "kicks", "turns", "falls", "climbs")


def place(verb: int) -> float:
    """Where the judge hears a verb; motions lie at whole numbers."""
    return verb + 0.45 if verb else 2.2


class ToyJudge:
    """Vectors of a plane that a motion's two numbers and a sentence's verb choose."""

    def embed_motions(self, features) -> np.ndarray:
        return np.stack([clip[0, :2] for clip in features])

    def embed_texts(self, captions, tokens=None) -> np.ndarray:
        """Every verb is nearest to its motion, but the first is nearer to that of the third."""
        found = [next((n for n, v in enumerate(VERBS) if v in text), 0) for text in captions]
        return np.float32([[place(n), 0] for n in found])


def clips(captions: list[list[str]], tokens: list[list[str]] | None = None) -> RealClips:
    features = [np.float32([[n, 0.4]] * 6) for n in range(len(captions))]
    given = tokens or [[""] * len(own) for own in captions]
    names = [f"c{n}" for n in range(len(captions))]
    facts = ("toy", "test", "0", get_skeleton("humanml3d"), 20.0)
    return RealClips(*facts, names, features, captions, given)


THREE = [[f"a person {v} now.", f"A man {v}", f"someone {v} slowly"] for v in VERBS]


def says(text_of):
    return lambda requests, _: [Written(text_of(request.crop.clip)) for request in requests]


@pytest.fixture
def no_tagger(monkeypatch) -> None:
    def refuse(_):
        raise RequestError("the tagger is not installed")

    monkeypatch.setattr(caption_wording, "tag_with_spacy", refuse)


def judged(real: RealClips, captioners=None, groups=None, protocol=PROTOCOL, **more):
    asked = groups or {"all": range(len(real))}
    return run_captioning(protocol, ToyJudge(), real, asked, captioners or {}, 1, **more)


def test_the_real_row_is_one_caption_against_the_others(no_tagger):
    """What the record says was said gives the row's numbers; all captions are drawn in turn."""
    result = judged(clips(THREE), {"upper": says(lambda clip: THREE[clip][1].upper())})
    drawn = set()
    for said in result.sentences:
        own = THREE[int(said["clip"][1:])]
        assert sorted([said["Real"], *said["others"]]) == sorted(own)
        drawn.add(own.index(said["Real"]))
    assert len(result.sentences) == CLIPS and drawn == {0, 1, 2}

    def raw(text: str) -> str:
        return text.lower().replace(".", "")

    for name in ("Real", "upper"):
        texts = [raw(said[name]) for said in result.sentences]
        others = [[raw(text) for text in said["others"]] for said in result.sentences]
        first = result.replications[0]["all"][name]
        for n, score in enumerate(captioning.bleu(texts, others), start=1):
            assert first[f"bleu_{n}_raw"] == pytest.approx(100 * score)
        assert first["rouge_l_raw"] == pytest.approx(100 * captioning.rouge_l(texts, others))
        assert first["cider_raw"] == pytest.approx(100 * captioning.cider(texts, others))
        assert first["words"] == captioning.mean_words(texts)
    values = [one["all"]["Real"]["cider_raw"] for one in result.replications]
    assert result.rows["all"]["Real"]["cider_raw"] == estimate(values, 1.96)
    assert len({*values}) > 1


def test_either_way_of_ranking_by_loops(no_tagger):
    """A sentence that is near to many motions spoils the one way and not the other."""
    result = judged(clips(THREE[:POOL]), protocol=replace(PROTOCOL, replications=1))
    pool = [int(said["clip"][1:]) for said in result.sentences]
    for way in ("motion_to_text", "text_to_motion"):
        for k in (1, 2, 3):
            hits = 0
            for own in pool:
                if way == "motion_to_text":
                    near = sorted(pool, key=lambda other: abs(place(other) - own))
                else:
                    near = sorted(pool, key=lambda other: abs(place(own) - other))
                hits += own in near[:k]
            share = hits / POOL
            assert result.rows["all"]["Real"][f"{way}_{k}"].mean == pytest.approx(share)
    real = result.rows["all"]["Real"]
    assert (real["motion_to_text_1"].mean, real["text_to_motion_1"].mean) == (0.5, 0.75)


def test_the_same_sentence_for_all_is_chance(no_tagger):
    row = judged(clips(THREE), {"one": says(lambda _: "walks walks walks")}).rows["all"]["one"]
    for way in ("motion_to_text", "text_to_motion"):
        assert [row[f"{way}_{k}"].mean for k in (1, 2, 3)] == [k / POOL for k in (1, 2, 3)]
    assert row["repeats"].mean == 100 and row["distinct_1"].mean == 1 / (3 * CLIPS)


def test_saying_what_another_person_said_is_perfect(no_tagger):
    twice = [[f"a person {verb} right here now"] * 2 for verb in VERBS]
    row = judged(clips(twice), {"echo": says(lambda clip: twice[clip][0])}).rows["all"]["echo"]
    for key in ("bleu_1_raw", "bleu_4_raw", "rouge_l_raw"):
        assert row[key].mean == pytest.approx(100, abs=1e-5)
    assert 0 < row["cider_raw"].mean <= 1000


def test_clips_with_one_caption_are_ranked_and_not_compared(no_tagger):
    """A constant hypothesis' BLEU on the first six alone, and R-precision over both pools."""
    captions = [own if clip < 6 else own[:1] for clip, own in enumerate(THREE)]
    groups = {"all": range(CLIPS), "three": range(6), "single": range(6, CLIPS), "few": range(2)}
    result = judged(clips(captions), {"fixed": says(lambda _: "a person walks")}, groups)
    sizes = {n: (g.clips, g.pools, g.compared) for n, g in result.groups.items()}
    assert sizes == {"all": (10, 2, 6), "three": (6, 1, 6), "single": (4, 1, 0), "few": (2, 0, 2)}
    compared = {name: rows["fixed"].get("bleu_1_raw") for name, rows in result.rows.items()}
    assert compared["all"] == compared["three"] and compared["single"] is None
    ranked = {name for name, rows in result.rows.items() if "motion_to_text_1" in rows["Real"]}
    assert ranked == {"all", "three", "single"}
    with pytest.raises(RequestError, match="group 'none' has no clips"):
        judged(clips(captions), groups={"none": []})


def test_processed_words_are_the_data_sets_own_where_it_has_them(no_tagger):
    """Without the tagger a row of free sentences lacks that style, and it is said why."""
    tokens = [[f"a/DET person/NOUN {verb[:-1]}/VERB"] * 3 for verb in VERBS]
    bare = judged(clips(THREE, tokens), {"free": says(lambda clip: THREE[clip][0])})
    assert bare.rows["all"]["Real"]["bleu_3_tokens"].mean == pytest.approx(100, abs=1e-5)
    assert bare.rows["all"]["Real"]["bleu_3_raw"].mean < 90
    assert "bleu_3_raw" in bare.rows["all"]["free"]
    assert "bleu_3_tokens" not in bare.rows["all"]["free"]
    assert bare.missing == {"tokens": "the tagger is not installed"}


def test_free_sentences_are_tagged_where_the_tagger_is(monkeypatch):
    tagger = lambda texts: [[f"{word}/X" for word in text.split()[-1:]] for text in texts]  # noqa: E731
    monkeypatch.setattr(caption_wording, "tag_with_spacy", tagger)
    tokens = [[f"{verb}/VERB"] * 3 for verb in VERBS]
    made = judged(clips(THREE, tokens), {"free": says(lambda clip: f"now he {VERBS[clip]}")})
    assert made.rows["all"]["free"]["bleu_1_tokens"].mean == pytest.approx(100, abs=1e-5)
    assert made.missing == {}


def test_bert_scores_are_of_the_sentences_as_written(no_tagger):
    def bert(texts, references):
        assert all(len(own) == 2 for own in references)
        return np.array([text.endswith("now.") for text in texts], float)

    row = judged(clips(THREE), {"now": says(lambda _: "Go now.")}, bert=bert).rows["all"]
    assert row["now"]["bert_score"].mean == 100 and 0 < row["Real"]["bert_score"].mean < 100
