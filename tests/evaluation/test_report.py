"""Measured rows in reports: what is refused, what stands where, and how it looks."""

import csv
import io
import json
from copy import deepcopy
from pathlib import Path

import pytest

from lead.core.errors import RequestError
from lead.evaluation.estimate import Estimate
from lead.evaluation.protocol import Protocol
from lead.evaluation.real_clips import RealClips
from lead.evaluation.reality_gate import UNCHECKED, headline
from lead.evaluation.report.beside import arrange, why_apart
from lead.evaluation.report.layout import comma_separated, latex, markdown
from lead.evaluation.report.measured import read_runs
from lead.evaluation.report.paper import load_table
from lead.evaluation.report.plot import write_plot
from lead.representation import get_skeleton

OFFICIAL = {"name": "t2m-humanml3d", "fingerprint": "0123456789abcdef"}
OPEN = {"name": "bandai_namco-small-evaluator", "fingerprint": "fedcba9876543210"}
REAL = {
    **{"fid": (0.002, 0.001), "r_precision_1": (0.511, 0.003), "r_precision_2": (0.703, 0.003)},
    **{"r_precision_3": (0.797, 0.002), "multimodal_distance": (2.974, 0.008)},
    **{"diversity": (9.5, 0.07), "jitter": (50.0, 1.0)},
}
MADE = REAL | {"fid": (0.1016, 0.0042), "r_precision_3": (0.8004, None), "diversity": (9.45, 0.1)}
PUBLISHED = {"judge": "t2m-humanml3d", "fid": {"mean": 0.002, "margin": 0.008}}


WHOLE = RealClips("humanml3d", "test", "x", get_skeleton("humanml3d"), 20.0, [], [], [], [])


def cells(row: dict) -> dict:
    return {
        key: {"mean": mean, "margin": margin, "count": 20} for key, (mean, margin) in row.items()
    }


def record(evaluator: dict = OFFICIAL, dataset: str = "humanml3d", **changes: object) -> dict:
    protocol = {"name": "t2m", "version": 1, "pool_size": 32, "replications": 20}
    counts = dict.fromkeys(("diversity_pairs", "multimodality_texts", "multimodality_repeats"), 30)
    counts |= dict.fromkeys(("multimodality_pairs", "multimodality_sets", "unit_length"), 4)
    full = Protocol(
        **protocol,
        **counts,
        datasets=["humanml3d"],
        split="test",
        confidence=0.95,
        crop="random",
        constant_bones=False,
        published={"humanml3d": PUBLISHED},
    )
    seen = {key: Estimate(mean, margin, 20) for key, (mean, margin) in REAL.items()}
    line = headline(full, evaluator["name"], evaluator["fingerprint"], WHOLE, seen)
    return {
        **{"headline": line, "protocol": protocol, "evaluator": evaluator, "dataset": dataset},
        **{"split": "test", "clips": 4000, "data_hash": f"hash of {dataset}"},
        "rows": {"Real": cells(REAL), "generated (LEAD)": cells(MADE)},
        **changes,
    }


@pytest.fixture
def write(tmp_path):
    def write(name: str, found: dict) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "metrics.json").write_text(json.dumps(found))
        return folder

    return write


def test_measured_rows_stand_beside_the_papers_where_the_gate_let_them(write):
    """The headline is the gate's own: should its words change, this test says so."""
    measured = read_runs([write("mine", record())])
    paper = load_table("1")
    assert why_apart(paper, measured) is None
    (table,) = arrange(paper, measured)
    assert len(table.rows) == 18 + 2
    assert [row.source for row in table.rows[17:]] == ["LEAD table 1", "mine", "mine"]
    assert table.rows[-1].judged_by == "t2m-humanml3d 0123456789ab"
    assert table.rows[0].judged_by == "t2m-humanml3d"


def test_rows_of_a_judge_without_a_real_row_stand_beside_its_papers(write):
    judge = {"name": "mardm-humanml3d", "fingerprint": "0123456789abcdef"}
    found = record(judge, headline=f"judge mardm-humanml3d (0123456789ab): {UNCHECKED}")
    found["rows"]["generated (flow)"] = cells(MADE | {"clip_score": (0.61, 0.002)})
    (table,) = arrange(load_table("mla_main"), read_runs([write("mine", found)]))
    assert table.rows[-1].values["clip_score"].text == "0.610 ± 0.002"
    assert UNCHECKED in table.notes[-1]
    reason = why_apart(load_table("mla_main"), read_runs([write("other", record())]))
    assert reason.startswith("MLA-Gen main table is humanml3d judged by mardm-humanml3d")


def test_they_stand_apart_for_another_judge_subset_or_reality(write):
    paper = load_table("1")
    other = read_runs([write("open", record(OPEN, "bandai_namco"))])
    reason = why_apart(paper, other)
    assert "bandai_namco-small-evaluator fedcba987654" in reason and "t2m-humanml3d" in reason
    assert [len(table.rows) for table in arrange(paper, other)] == [18, 2]
    same = read_runs([write("same", record())])
    assert "not published" in why_apart(load_table("3"), same)
    assert "kitml" in why_apart(load_table("2"), same)
    broken = record(headline="REAL IS NOT AS PUBLISHED: FID 3")
    assert "REAL IS NOT" in why_apart(paper, read_runs([write("broken", broken)]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluator": OPEN}, "judged by t2m-humanml3d 0123456789ab, .*json by bandai_namco-small"),
        ({"evaluator": OFFICIAL | {"fingerprint": "77"}}, "json by t2m-humanml3d 77"),
        ({"data_hash": "another"}, "humanml3d hash of huma, .* of humanml3d another"),
        ({"split": "val"}, "split 'test', .* split 'val'"),
        ({"clips": 100}, "clips 4000, .* clips 100"),
        ({"protocol": {"name": "t2m", "version": 1, "pool_size": 16}}, "pool_size 32, .* 16"),
    ],
)
def test_runs_that_do_not_compare_are_refused_with_both_names(write, changes, message):
    one, other = write("one", record()), write("other", record() | changes)
    with pytest.raises(RequestError, match=message) as error:
        read_runs([one, other])
    text = str(error.value)
    assert str(one) in text and str(other) in text and "\n" not in text


def test_fewer_replications_are_no_reason_to_refuse(write):
    fewer = record()
    fewer["protocol"] = fewer["protocol"] | {"replications": 5}
    assert len(read_runs([write("one", record()), write("other", fewer)]).rows) == 3


def test_a_row_of_real_motions_that_two_runs_share_comes_once(write):
    changed = deepcopy(record())
    changed["rows"]["Real"]["fid"]["mean"] = 0.003
    runs = [write("a", record()), write("b", record()), write("c", changed)]
    found = [(row.name, row.source) for row in read_runs(runs).rows]
    made = "generated (LEAD)"
    assert found == [("Real", "a"), (made, "a"), (made, "b"), ("Real", "c"), (made, "c")]


@pytest.mark.parametrize("missing", ["evaluator", "protocol", "data_hash", "rows", "headline"])
def test_a_record_without_a_protocol_is_refused(write, missing):
    found = record()
    del found[missing]
    with pytest.raises(RequestError, match=rf"metrics\.json: it has no '{missing}': measure the"):
        read_runs([write("old", found)])


@pytest.mark.parametrize("value", ["0.1", None, float("nan"), True])
def test_a_value_that_is_no_number_is_named(write, value):
    found = record()
    found["rows"]["Real"]["fid"]["mean"] = value
    with pytest.raises(RequestError, match="'rows.Real.fid.mean' takes a "):
        read_runs([write("bad", found)])


SMALL = """\
**humanml3d test, 4000 clips, protocol t2m**

|                  |         FID ↓ |         R@3 ↑ | source | judge                      |
| ---------------- | ------------: | ------------: | ------ | -------------------------- |
| Real             | 0.002 ± 0.001 | 0.797 ± 0.002 | mine   | t2m-humanml3d 0123456789ab |
| generated (LEAD) | 0.102 ± 0.004 |         0.800 | mine   | t2m-humanml3d 0123456789ab |

- judge t2m-humanml3d (0123456789ab): the Real row lies in the published intervals of humanml3d
"""


def test_markdown_as_a_whole(write):
    (table,) = arrange(None, read_runs([write("mine", record())]), ("fid", "r_precision_3"))
    assert markdown(table) == SMALL


def test_columns_are_chosen_by_key_and_unknown_ones_refused(write):
    measured = read_runs([write("mine", record())])
    (table,) = arrange(None, measured, ("jitter",))
    assert [column.key for column in table.columns] == ["jitter"]
    with pytest.raises(RequestError, match="unknown column 'fidd': did you mean 'fid'"):
        arrange(None, measured, ("fidd",))
    (empty,) = arrange(None, measured, ("mpjpe",))
    with pytest.raises(RequestError, match="no row has a value for any of mpjpe"):
        markdown(empty)


def test_csv_gives_every_number_back_with_its_judge(write):
    (table,) = arrange(load_table("1"), read_runs([write("mine", record())]))
    lines = [*csv.DictReader(io.StringIO(comma_separated(table)))]
    assert len(lines) == 20
    mld = next(line for line in lines if line["name"] == "MLD [CJL*23]")
    assert (mld["LDM"], float(mld["fid"]), float(mld["fid_ci95"])) == ("✓", 0.473, 0.013)
    assert (mld["origin"], mld["judge"], mld["fingerprint"]) == ("paper", "t2m-humanml3d", "")
    made = lines[-1]
    assert (float(made["fid"]), float(made["fid_ci95"])) == (0.1016, 0.0042)
    assert (made["r_precision_3_ci95"], made["multimodality"]) == ("", "")
    assert (made["origin"], made["source"]) == ("measured", "mine")
    assert made["fingerprint"] == "0123456789abcdef"


def test_latex_has_the_best_of_each_column_in_bold(write):
    """Over both origins: FID .1016 of ours, below .103; Diversity 9.502 is nearest to 9.503."""
    (table,) = arrange(load_table("1"), read_runs([write("mine_1", record())]))
    text = latex(table)
    lines = text.splitlines()
    bold = {line.split(" & ")[0]: line.count("mathbf") for line in lines if "mathbf" in line}
    assert bold == {
        "OmniControl [XJZ*23]": 1,  # Diversity
        "ReMoDiffuse [ZGP*23]": 1,  # MM-dist
        "LEAD (MotionLCM) (Ours)": 3,  # R@1, R@2, R@3
        "LEAD (MLD) (Ours)": 1,  # MultiModality
        "generated (LEAD)": 1,  # FID
    }
    assert r"$\mathbf{0.102}^{\pm 0.004}$" in text
    assert r"mine\_1" in text and r"FID $\downarrow$" in text
    for word in (r"\toprule", r"\bottomrule", r"\begin{tabular}{lcrrrrrrrll}"):
        assert text.count(word) == 1
    assert text.count(r"\midrule") == 4  # header, Real, measured rows, their Real
    assert text.count("{") == text.count("}")
    body = [line for line in lines if line.endswith(r"\\")]
    assert len(body) == 21 and {line.count(" & ") for line in body} == {10}


def test_the_plot_is_a_picture_of_every_row_with_both_measures(tmp_path):
    from PIL import Image

    write_plot(tmp_path / "plot.png", load_table("6").table)
    with Image.open(tmp_path / "plot.png") as picture:
        assert picture.format == "PNG" and picture.size == (1350, 825)
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 20
    only_real = load_table("6").table.rows[:1]
    table = type(load_table("6").table)("t", only_real, ())
    with pytest.raises(RequestError, match="nothing to plot"):
        write_plot(tmp_path / "other.png", table)
    assert not (tmp_path / "other.png").exists()
