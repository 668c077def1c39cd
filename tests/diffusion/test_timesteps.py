import pytest

from lead.core.errors import RequestError
from lead.diffusion.timesteps import check_timesteps, leading_timesteps


def test_fifty_of_a_thousand_are_the_published_ones():
    timesteps = leading_timesteps(1000, 50)
    assert len(timesteps) == 50
    assert timesteps[:3] == [981, 961, 941] and timesteps[-2:] == [21, 1]


@pytest.mark.parametrize(
    ("steps", "first", "last"),
    [(1, 1, 1), (4, 751, 1), (30, 958, 1), (999, 999, 1), (1000, 999, 0)],
)
def test_other_step_counts(steps, first, last):
    timesteps = leading_timesteps(1000, steps)
    assert len(timesteps) == steps and (timesteps[0], timesteps[-1]) == (first, last)


def test_offset_is_a_shift():
    assert leading_timesteps(100, 5, offset=0) == [80, 60, 40, 20, 0]
    assert leading_timesteps(100, 5, offset=7) == [87, 67, 47, 27, 7]


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_steps_out_of_range_are_refused(steps):
    with pytest.raises(RequestError, match=r"steps is -?\d+: it must lie in 1..1000"):
        leading_timesteps(1000, steps)


def test_negative_offset_is_refused():
    with pytest.raises(RequestError, match="offset"):
        leading_timesteps(1000, 50, offset=-1)


def test_published_lists_of_few_steps_pass():
    assert check_timesteps([799], 1000) == [799]
    assert check_timesteps([699, 399, 299, 299], 1000) == [699, 399, 299, 299]


@pytest.mark.parametrize(
    ("timesteps", "message"),
    [
        ([], "empty"),
        ([1000], "timestep 1000 is not a whole number in 0..999"),
        ([5, -1], "timestep -1"),
        ([799.5], "timestep 799.5"),
        ([float("nan")], "timestep nan"),
        ([1, 500], "rise"),
    ],
)
def test_wrong_lists_are_told_in_one_line(timesteps, message):
    with pytest.raises(RequestError, match=message) as caught:
        check_timesteps(timesteps, 1000)
    assert "\n" not in str(caught.value)
