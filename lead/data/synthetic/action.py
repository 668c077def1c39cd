"""What an action is: how it moves, how it may be varied, and how it is said."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from lead.data.synthetic.figure import Figure, Manner
from lead.data.synthetic.pose import Track

Performance = Callable[[Figure, Manner, np.random.Generator], Track]
"""Moves a figure from standing at the origin, facing +Z; sided actions are done with the right."""


@dataclass(frozen=True)
class Action:
    """One entry of the catalogue.

    ``phrases`` maps each variant to verb phrases with verbs in angle brackets, which are put into
    the form a sentence needs ("<walk> forward {speed}"), and slots: ``{speed}``, ``{times}``,
    ``{number}``, ``{side}``, ``{other}`` (the other side). Variants named in ``unsided`` are done
    with both sides, the rest of a sided action with the left or the right.
    """

    name: str
    perform: Performance
    phrases: Mapping[str, tuple[str, ...]]
    sided: bool = False
    unsided: tuple[str, ...] = ()
    speeds: tuple[str, ...] = ("slowly", "", "quickly")
    counts: tuple[int, ...] = (1,)
    seconds: tuple[float, float] = (2.5, 7.0)  # for actions that can go on
    croppable: bool = False  # may begin or end in full swing
    role: str = "whole"  # "gait" and "gesture" can be done at the same time
    starts_standing: bool = True
    ends_standing: bool = True
