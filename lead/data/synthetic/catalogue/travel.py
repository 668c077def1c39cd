"""Actions that travel or step, and how they are said."""

from lead.data.synthetic import locomotion
from lead.data.synthetic.action import Action

TRAVEL = (
    Action(
        "walk",
        locomotion.walk,
        {
            "": (
                "<walk> forward {speed}",
                "<walk> straight ahead {speed}",
                "<walk> {speed} in a straight line",
                "<take> several steps forward {speed}",
                "<walk> ahead {speed}",
            ),
        },
        croppable=True,
        role="gait",
    ),
    Action(
        "walk_styled",
        locomotion.walk,
        {
            "crouched": (
                "<walk> forward {speed} in a crouch",
                "<sneak> forward {speed} with bent knees",
                "<crouch> down and <walk> forward {speed}",
                "<creep> ahead {speed} with a bent back",
            ),
            "high_knees": (
                "<walk> forward {speed} with the knees lifted high",
                "<walk> {speed} with high knees",
                "<step> forward {speed} as if over obstacles",
            ),
            "march": (
                "<march> forward {speed}",
                "<march> ahead {speed} with swinging arms",
                "<walk> forward {speed} like a soldier",
            ),
            "arms_out": (
                "<walk> forward {speed} with both arms stretched out to the sides",
                "<walk> {speed} as if on a tightrope with the arms held out",
                "<balance> forward {speed} with the arms out to the sides",
            ),
            "arms_ahead": (
                "<walk> forward {speed} with both arms stretched out in front",
                "<walk> {speed} like a zombie with arms held out in front",
                "<move> forward {speed} with both arms straight ahead",
            ),
            "hands_up": (
                "<walk> forward {speed} with both hands in the air",
                "<walk> {speed} with both arms above the head",
                "<move> forward {speed} with raised arms",
            ),
        },
        croppable=True,
    ),
    Action(
        "walk_backward",
        locomotion.walk_backward,
        {
            "": (
                "<walk> backward {speed}",
                "<walk> backwards {speed}",
                "<back> away {speed}",
                "<take> several steps backward {speed}",
            )
        },
        croppable=True,
        role="gait",
        seconds=(2.5, 6.0),
    ),
    Action(
        "run",
        locomotion.run,
        {
            "": (
                "<run> forward {speed}",
                "<run> straight ahead {speed}",
                "<jog> forward {speed}",
                "<run> {speed} in a straight line",
            )
        },
        croppable=True,
        role="gait",
        seconds=(2.2, 4.5),
    ),
    Action(
        "walk_in_circle",
        locomotion.walk_in_circle,
        {
            "": (
                "<walk> in a circle to the {side} {speed}",
                "<walk> in a {turn} circle {speed}",
                "<walk> {speed} {turn} in a full circle",
                "<walk> {speed} all the way around a circle to the {side}",
            )
        },
        sided=True,
    ),
    Action(
        "run_in_circle",
        locomotion.run_in_circle,
        {
            "": (
                "<run> in a circle to the {side} {speed}",
                "<run> in a {turn} circle {speed}",
                "<jog> {speed} {turn} in a full circle",
            )
        },
        sided=True,
        speeds=("", "quickly"),
    ),
    Action(
        "veer",
        locomotion.veer,
        {
            "": (
                "<walk> forward {speed} and <veer> to the {side}",
                "<walk> {speed} in a curve to the {side}",
                "<walk> {speed} along an arc to the {side}",
                "<curve> to the {side} while walking forward {speed}",
            )
        },
        sided=True,
        seconds=(3.0, 6.0),
    ),
    Action(
        "walk_and_turn",
        locomotion.walk_and_turn,
        {
            "": (
                "<walk> forward {speed}, <turn> {side} and <go> on",
                "<walk> {speed} and <make> a {side} turn",
                "<walk> straight {speed}, then <turn> to the {side} and <walk> on",
                "<walk> {speed} around a corner to the {side}",
            )
        },
        sided=True,
        seconds=(4.0, 7.5),
    ),
    Action(
        "walk_and_return",
        locomotion.walk_and_return,
        {
            "": (
                "<walk> forward {speed}, <turn> around and <walk> back",
                "<walk> {speed}, <turn> around to the {side} and <return>",
                "<walk> away {speed}, <make> a u-turn to the {side} and <come> back",
                "<walk> forward {speed}, <turn> 180 degrees to the {side} and <walk> back",
            )
        },
        sided=True,
        seconds=(5.0, 8.5),
    ),
    Action(
        "zigzag",
        locomotion.zigzag,
        {
            "": (
                "<walk> forward {speed} in a zigzag",
                "<walk> {speed} in a wavy line",
                "<weave> from side to side while walking forward {speed}",
                "<walk> {speed} in an s shape",
            )
        },
        seconds=(4.5, 8.0),
    ),
    Action(
        "turn",
        locomotion.turn,
        {
            "": (
                "<turn> to the {side} {speed}",
                "<turn> {side} on the spot {speed}",
                "<turn> {speed} 90 degrees to the {side}",
                "<make> a quarter turn to the {side} {speed}",
            ),
            "around": (
                "<turn> around to the {side} {speed}",
                "<turn> {speed} 180 degrees to the {side}",
                "<turn> around over the {side} shoulder {speed}",
            ),
            "full": (
                "<turn> in a full circle to the {side} {speed} on the spot",
                "<spin> around once to the {side} {speed}",
                "<turn> 360 degrees {turn} {speed}",
            ),
        },
        sided=True,
    ),
    Action(
        "side_step",
        locomotion.side_step,
        {
            "": (
                "<step> to the {side} {times} {speed}",
                "<take> {number} to the {side} {speed}",
                "<take> {number} sideways to the {side} {speed}",
                "<sidestep> to the {side} {times} {speed}",
            )
        },
        sided=True,
        counts=(1, 2, 3, 4),
    ),
    Action(
        "take_steps",
        locomotion.take_steps,
        {
            "": (
                "<take> {number} forward {speed}",
                "<step> forward {times} {speed}",
                "<walk> {number} forward {speed}",
            ),
            "back": (
                "<take> {number} back {speed}",
                "<take> {number} backward {speed}",
                "<step> back {times} {speed}",
            ),
        },
        counts=(1, 2, 3, 4),
    ),
    Action(
        "march",
        locomotion.march,
        {
            "": (
                "<march> in place {speed}",
                "<march> on the spot {speed}",
                "<walk> in place {speed} with lifted knees",
                "<lift> the knees in turn {speed} without moving forward",
            )
        },
        croppable=True,
        seconds=(3.0, 6.0),
    ),
    Action(
        "jog_on_the_spot",
        locomotion.jog_on_the_spot,
        {
            "": (
                "<jog> in place {speed}",
                "<run> on the spot {speed}",
                "<run> in place {speed}",
                "<jog> on the spot {speed}",
            )
        },
        croppable=True,
        seconds=(2.5, 5.0),
    ),
)
