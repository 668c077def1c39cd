"""`lead report`: words, files and refusals."""

import csv
import json

import pytest

from lead.cli.main import main

ROWS = {
    "Real": {"fid": {"mean": 0.0, "margin": 0.0, "count": 2}},
    "generated (MLD)": {
        "fid": {"mean": 2.5, "margin": 0.125, "count": 2},
        "r_precision_3": {"mean": 0.5, "margin": 0.01, "count": 2},
    },
}


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """The folder of a run that was measured with an open judge."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "run,1"
    folder.mkdir()
    found = {
        **{"headline": "judge mine (0123): numbers compare only with those of the same judge"},
        **{"protocol": {"name": "open"}, "evaluator": {"name": "mine", "fingerprint": "0123"}},
        **{"dataset": "bandai_namco", "split": "test", "clips": 380, "data_hash": "abc"},
        "rows": ROWS,
    }
    (folder / "metrics.json").write_text(json.dumps(found))
    return folder


def test_two_judges_are_two_tables(measured, capsys):
    assert main(["report", "6", str(measured)]) == 0
    out = capsys.readouterr().out
    paper, _, ours = out.partition("\nNot in one table: LEAD table 6 is humanml3d judged by ")
    assert "| LEAD- w/o KL " in paper and "mine" not in paper
    assert "| generated (MLD) | 0.500 ± 0.010 | 2.500 ± 0.125 |" in " ".join(ours.split())
    assert "LEAD table 6" not in ours and "mine 0123" in ours


@pytest.mark.parametrize("words", [["format=latex"], ["output=t.csv"], ["plot=p.png"]])
def test_one_table_of_two_judges_is_refused(measured, capsys, words):
    assert main(["report", "table=1", str(measured), *words]) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1 and "holds one table" in err
    assert "t2m-humanml3d" in err and "mine 0123" in err
    assert not [path for path in measured.parent.iterdir() if path != measured]


def test_the_ending_of_the_output_is_its_format(measured, capsys):
    assert main(["report", "none", str(measured), "output=t.csv"]) == 0
    assert capsys.readouterr().out == "written: t.csv\n"
    with (measured.parent / "t.csv").open(newline="") as stream:
        real, made = csv.DictReader(stream)
    assert (real["fid"], made["fid"], made["fid_ci95"]) == ("0.0", "2.5", "0.125")
    assert made["source"] == "run,1"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "a table is needed"),
        (["none"], "name runs"),
        (["7"], "unknown table '7'"),
        (["1", "missing"], "missing is missing"),
        (["1", "format=html"], "unknown format 'html'"),
        (["1", "plot=a.jpg"], "drawn as PNG"),
        (["1", "columns=[fidd]"], "did you mean 'fid'"),
        (["1", "output=nowhere.txt/a.md"], "is a file"),
    ],
)
def test_what_cannot_be_answered_gets_one_line(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nowhere.txt").write_text("")
    assert main(["report", *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith("lead: ") and len(err.splitlines()) == 1 and message in err
