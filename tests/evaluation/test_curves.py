"""Training curves: what is read from a log, and what is drawn."""

import pytest

from lead.core.errors import RequestError, WorkError
from lead.evaluation.report.curves import choose_quantities, read_curves, write_curves

LOG = "step,name,value\n9,train/loss,4.0\n9,train/rec,2.0\n19,train/loss,0.1\n19,val/loss,0.5\n"


def logged(folder, text=LOG):
    folder.mkdir(exist_ok=True)
    (folder / "metrics.csv").write_text(text)
    return folder


def test_a_log_is_read_by_name(tmp_path):
    curves = read_curves(logged(tmp_path / "run"))
    assert curves == {
        "train/loss": [(9, 4.0), (19, 0.1)],
        "train/rec": [(9, 2.0)],
        "val/loss": [(19, 0.5)],
    }
    assert choose_quantities({"run": curves}) == ["loss", "rec"]
    assert choose_quantities({"run": curves}, ["rec"]) == ["rec"]
    with pytest.raises(RequestError, match="did you mean 'loss'"):
        choose_quantities({"run": curves}, ["los"])


def test_what_is_no_log_is_refused(tmp_path):
    with pytest.raises(RequestError, match=r"has no metrics\.csv"):
        read_curves(tmp_path)
    with pytest.raises(RequestError, match="no value yet"):
        read_curves(logged(tmp_path / "run", "step,name,value\n"))
    with pytest.raises(WorkError, match=r"metrics\.csv:3: 'value' takes a number"):
        read_curves(logged(tmp_path / "run", "step,name,value\n1,a,2\n1,a\n"))


def test_each_run_is_a_line_and_each_quantity_a_panel(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    other = {"train/loss": [(1, 1.0)], "val/loss": [(1, 1.0)]}
    runs = {"a": read_curves(logged(tmp_path / "run")), "b": other}
    write_curves(tmp_path / "curves.png", runs, ["loss", "rec"])
    loss, rec = drawn[0].axes
    assert [loss.get_title(), rec.get_title()] == ["loss", "rec"]
    lines = [(list(line.get_xdata()), list(line.get_ydata())) for line in loss.lines]
    assert lines == [([9, 19], [4.0, 0.1]), ([19], [0.5]), ([1], [1.0]), ([1], [1.0])]
    colours = [line.get_color() for line in loss.lines]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    assert (loss.get_yscale(), rec.get_yscale()) == ("log", "linear")  # 40 times and once
    assert [text.get_text() for text in drawn[0].legends[0].texts][:2] == ["a", "b"]
