"""Estimates and their tables."""

import numpy as np
import pytest

from lead.core.errors import RequestError
from lead.evaluation.estimate import Estimate, estimate
from lead.evaluation.table import Column, format_table

ERROR = Column("error", "error", "mm", better="lower", digits=1)
SCORE = Column("score", "score", better="higher", digits=2)
SPEED = Column("speed", "speed", "m/s", better="real", digits=0)
ROWS = {
    "real": {"speed": Estimate(1.4, 0.6, 9)},
    "ours": {
        "error": Estimate(123.456, 7.891, 400),
        "speed": Estimate(2.0, None, 1),
        "score": Estimate(0.5, 0.011, 20),
    },
}

EXPECTED = """\
|      | error ↓ (mm) |     score ↑ | speed → (m/s) |
| ---- | -----------: | ----------: | ------------: |
| real |            - |           - |         1 ± 1 |
| ours |  123.5 ± 7.9 | 0.50 ± 0.01 |             2 |
"""


def test_an_estimate_by_hand():
    """1, 2, 3, 4: mean 2.5, s^2 = 5/3."""
    found = estimate([1.0, 2.0, 3.0, 4.0])
    assert (found.mean, found.count) == (2.5, 4)
    assert found.margin == pytest.approx(1.96 * (5 / 3) ** 0.5 / 2)


def test_one_value_has_no_margin_and_none_no_mean():
    assert estimate([7.0]) == Estimate(7.0, None, 1)
    with pytest.raises(RequestError, match="at least one value"):
        estimate([])


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    found = [estimate(rng.normal(3.0, 2.0, size=100)) for _ in range(2000)]
    covered = np.mean([abs(e.mean - 3.0) < e.margin for e in found])
    assert covered == pytest.approx(0.95, abs=0.015)  # three standard errors


def test_the_table_as_a_whole():
    assert format_table(ROWS, [ERROR, SCORE, SPEED]) == EXPECTED


def test_columns_come_in_the_order_asked_for_and_empty_ones_not_at_all():
    unused = Column("unused", "unused")
    lines = format_table(ROWS, [SPEED, unused, ERROR]).splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == [
        *("", "speed → (m/s)", "error ↓ (mm)")
    ]


def test_a_bar_in_a_name_does_not_break_the_table():
    table = format_table({"a|b": {"score": Estimate(1.0, None, 1)}}, [SCORE])
    assert r"| a\|b |" in table


@pytest.mark.parametrize(("rows", "columns"), [({}, [ERROR]), ({"a": {}}, [ERROR]), (ROWS, [])])
def test_a_table_of_nothing_is_refused(rows, columns):
    with pytest.raises(RequestError, match="the table is empty"):
        format_table(rows, columns)
