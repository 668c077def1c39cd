"""Actions of the whole body on the spot or in the air, and how they are said."""

from lead.data.synthetic import gestures, whole_body
from lead.data.synthetic.action import Action

WHOLE_BODY = (
    Action(
        "jump",
        whole_body.jump,
        {
            "": (
                "<jump> up and down {times} {speed}",
                "<jump> in place {times} {speed}",
                "<jump> on the spot with both feet {times}",
                "<crouch> slightly and <jump> up {times}",
            ),
            "high": (
                "<jump> high into the air {times}",
                "<leap> up as high as possible {times}",
                "<jump> up high with both feet {times}",
            ),
            "forward": (
                "<jump> forward {times}",
                "<leap> forward with both feet {times}",
                "<hop> forward on both feet {times}",
                "<do> {jumps} forward",
            ),
            "back": (
                "<jump> backward {times}",
                "<hop> backwards on both feet {times}",
                "<leap> back {times}",
            ),
        },
        speeds=("",),
        counts=(1, 2, 3),
    ),
    Action(
        "hop",
        whole_body.hop,
        {
            "": (
                "<hop> on the {side} leg",
                "<hop> on the {side} foot in place",
                "<stand> on the {side} leg and <hop> a few times",
                "<jump> on only the {side} leg",
            )
        },
        sided=True,
        speeds=("",),
        counts=(1, 2, 3),
    ),
    Action(
        "jumping_jacks",
        whole_body.jumping_jacks,
        {
            "": (
                "<do> jumping jacks {speed}",
                "<perform> a few jumping jacks {speed}",
                "<jump> {speed} while spreading arms and legs",
            )
        },
        counts=(1, 2, 3),
        speeds=("", "quickly"),
    ),
    Action(
        "squat",
        whole_body.squat,
        {
            "": (
                "<squat> {times} {speed}",
                "<do> {squats} {speed}",
                "<bend> the knees and <squat> down {times} {speed}",
                "<squat> down with both arms held forward {times} {speed}",
            )
        },
        counts=(1, 2, 3),
    ),
    Action(
        "duck",
        whole_body.squat,
        {
            "duck": (
                "<duck> down {speed} and <cover> the head",
                "<crouch> down {speed} with the hands over the head",
                "<duck> {speed} and <stand> up again",
            )
        },
    ),
    Action(
        "kick",
        whole_body.kick,
        {
            "": (
                "<kick> with the {side} leg {times} {speed}",
                "<kick> forward with the {side} foot {times} {speed}",
                "<do> a front kick with the {side} leg {times} {speed}",
                "<kick> the {side} leg out in front {times} {speed}",
            ),
            "high": (
                "<kick> high with the {side} leg {times} {speed}",
                "<do> a high kick with the {side} foot {times} {speed}",
                "<kick> the {side} leg up high {times} {speed}",
            ),
            "side": (
                "<kick> sideways with the {side} leg {times} {speed}",
                "<do> a side kick with the {side} foot {times} {speed}",
                "<kick> out to the {side} with the {side} leg {times} {speed}",
            ),
        },
        sided=True,
        counts=(1, 2, 3),
    ),
    Action(
        "lift_knee",
        whole_body.lift_knee,
        {
            "": (
                "<lift> the {side} knee {times} {speed}",
                "<raise> the {side} leg with a bent knee {times} {speed}",
                "<pull> the {side} knee up to the hip {times} {speed}",
            )
        },
        sided=True,
        counts=(1, 2, 3),
    ),
    Action(
        "balance",
        whole_body.lift_knee,
        {
            "balance": (
                "<balance> on the {other} leg with both arms out",
                "<stand> on the {other} leg and <hold> the balance",
                "<lift> the {side} foot and <balance> with outstretched arms",
            )
        },
        sided=True,
        speeds=("",),
    ),
    Action(
        "sit",
        whole_body.sit,
        {
            "": (
                "<sit> down {speed} and <stand> up again",
                "<sit> on a chair {speed} and then <get> up",
                "<take> a seat {speed} and <rise> again",
            )
        },
        speeds=("", "quickly"),
    ),
    Action(
        "sit_down",
        whole_body.sit,
        {
            "down": (
                "<sit> down {speed}",
                "<sit> down on a chair {speed}",
                "<take> a seat {speed}",
                "<lower> the body {speed} onto a chair",
            )
        },
        ends_standing=False,
    ),
    Action(
        "stand_up",
        whole_body.sit,
        {
            "up": (
                "<stand> up from a chair {speed}",
                "<rise> from a seat {speed}",
                "<get> up from a sitting position {speed}",
                "<stand> up {speed} after sitting",
            )
        },
        starts_standing=False,
    ),
    Action(
        "bow",
        whole_body.bow,
        {
            "": (
                "<bow> {times} {speed}",
                "<bow> forward {times} {speed}",
                "<bend> at the waist in a bow {times} {speed}",
                "<take> a bow {times} {speed}",
            )
        },
        counts=(1, 2),
    ),
    Action(
        "pick_up",
        whole_body.pick_up,
        {
            "": (
                "<bend> down {speed} and <pick> something up with the {side} hand",
                "<pick> something up from the floor {speed} with the {side} hand",
                "<reach> down to the ground with the {side} hand {speed} and <stand> up again",
            )
        },
        sided=True,
        counts=(1,),
    ),
    Action(
        "touch_toes",
        whole_body.pick_up,
        {
            "toes": (
                "<bend> over and <touch> the toes {times} {speed}",
                "<reach> down to the feet with both hands {times} {speed}",
                "<touch> the toes with straight legs {times} {speed}",
            )
        },
        counts=(1, 2),
    ),
    Action(
        "lunge",
        whole_body.lunge,
        {
            "": (
                "<lunge> forward with the {side} leg {times} {speed}",
                "<do> a lunge with the {side} leg {times} {speed}",
                "<step> far forward with the {side} leg and <sink> down {times} {speed}",
            )
        },
        sided=True,
        counts=(1, 2),
    ),
    Action(
        "stand_still",
        gestures.stand_still,
        {
            "": (
                "<stand> still",
                "<stand> in place without moving",
                "<stand> quietly with the arms at the sides",
                "<stand> motionless",
                "<do> nothing but stand there",
            )
        },
        speeds=("",),
        seconds=(2.5, 8.0),
    ),
)
