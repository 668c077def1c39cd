"""Actions of arms, head and trunk, and how they are said."""

from lead.data.synthetic import gestures
from lead.data.synthetic.action import Action

GESTURES = (
    Action(
        "wave",
        gestures.wave,
        {
            "": (
                "<wave> with the {side} hand {speed}",
                "<wave> the {side} hand {speed}",
                "<raise> the {side} arm and <wave> {speed}",
                "<wave> hello with the {side} hand {speed}",
                "<wave> in greeting with the {side} hand {speed}",
            ),
            "both": (
                "<wave> with both hands {speed}",
                "<wave> both arms {speed}",
                "<raise> both hands and <wave> {speed}",
            ),
        },
        sided=True,
        unsided=("both",),
        counts=(1, 2),
        role="gesture",
    ),
    Action(
        "raise_arm",
        gestures.raise_arm,
        {
            "": (
                "<raise> the {side} arm {times} {speed}",
                "<lift> the {side} hand above the head {times} {speed}",
                "<put> the {side} hand up {times} {speed}",
            ),
            "sideways": (
                "<raise> the {side} arm out to the side {times} {speed}",
                "<lift> the {side} arm sideways to shoulder height {times} {speed}",
                "<hold> the {side} arm out to the {side} {times} {speed}",
            ),
            "forward": (
                "<raise> the {side} arm straight ahead {times} {speed}",
                "<lift> the {side} arm forward to shoulder height {times} {speed}",
                "<hold> the {side} arm out in front {times} {speed}",
            ),
        },
        sided=True,
        counts=(1, 2),
        role="gesture",
    ),
    Action(
        "raise_arms",
        gestures.both_arms,
        {
            "up": (
                "<raise> both arms {times} {speed}",
                "<lift> both hands above the head {times} {speed}",
                "<put> both arms up in the air {times} {speed}",
            ),
            "sideways": (
                "<stretch> both arms out to the sides {times} {speed}",
                "<make> a t pose {times} {speed}",
                "<spread> the arms wide {times} {speed}",
                "<raise> both arms sideways to shoulder height {times} {speed}",
            ),
            "forward": (
                "<raise> both arms forward {times} {speed}",
                "<hold> both arms out in front {times} {speed}",
                "<stretch> both arms straight ahead {times} {speed}",
            ),
        },
        counts=(1, 2),
        role="gesture",
    ),
    Action(
        "stretch",
        gestures.both_arms,
        {
            "stretch": (
                "<stretch> {speed} and <reach> up with both arms",
                "<reach> for the sky with both hands {speed} and <lean> back",
                "<stretch> the whole body upward {speed}",
            )
        },
        speeds=("slowly", ""),
    ),
    Action(
        "punch",
        gestures.punch,
        {
            "": (
                "<punch> with the {side} hand {times} {speed}",
                "<throw> {punches} with the {side} fist {speed}",
                "<punch> forward with the {side} fist {times} {speed}",
                "<strike> out with the {side} fist {times} {speed}",
            )
        },
        sided=True,
        counts=(1, 2, 3),
        role="gesture",
    ),
    Action(
        "box",
        gestures.punch,
        {
            "both": (
                "<box> with both fists {speed}",
                "<punch> with alternating hands {speed}",
                "<throw> punches with both hands {speed}",
                "shadow <box> {speed}",
            )
        },
        counts=(2, 3),
        role="gesture",
    ),
    Action(
        "clap",
        gestures.clap,
        {
            "": (
                "<clap> {speed}",
                "<clap> the hands {speed}",
                "<applaud> {speed}",
                "<clap> both hands together in front of the chest {speed}",
            ),
            "overhead": (
                "<clap> above the head {speed}",
                "<clap> both hands overhead {speed}",
                "<raise> the hands and <clap> over the head {speed}",
            ),
        },
        role="gesture",
    ),
    Action(
        "throw",
        gestures.throw,
        {
            "": (
                "<throw> something with the {side} hand {times} {speed}",
                "<throw> a ball overhand with the {side} arm {times} {speed}",
                "<toss> an object forward with the {side} hand {times} {speed}",
            )
        },
        sided=True,
        counts=(1, 2),
    ),
    Action(
        "point",
        gestures.point,
        {
            "forward": (
                "<point> forward with the {side} hand {speed}",
                "<point> straight ahead with the {side} arm {speed}",
                "<point> at something in front with the {side} hand {speed}",
            ),
            "side": (
                "<point> to the {side} with the {side} hand {speed}",
                "<look> and <point> to the {side} {speed}",
                "<look> to the {side} and <point> there {speed}",
            ),
            "up": (
                "<point> up with the {side} hand {speed}",
                "<point> at the sky with the {side} arm {speed}",
                "<look> up and <point> upward with the {side} hand {speed}",
            ),
        },
        sided=True,
        role="gesture",
    ),
    Action(
        "cross_arms",
        gestures.hold,
        {
            "crossed": (
                "<cross> the arms {speed}",
                "<fold> the arms across the chest {speed}",
                "<stand> with crossed arms for a moment",
            )
        },
    ),
    Action(
        "hands_on_hips",
        gestures.hold,
        {
            "hips": (
                "<put> both hands on the hips {speed}",
                "<place> the hands on the hips {speed}",
                "<rest> both hands on the waist for a moment",
            )
        },
        role="gesture",
    ),
    Action(
        "salute",
        gestures.hold,
        {
            "salute": (
                "<salute> with the {side} hand {speed}",
                "<give> a salute with the {side} hand {speed}",
                "<raise> the {side} hand to the forehead in a salute {speed}",
            )
        },
        sided=True,
        role="gesture",
    ),
    Action(
        "drink",
        gestures.hold,
        {
            "drink": (
                "<drink> from a cup in the {side} hand {speed}",
                "<take> a sip with the {side} hand {speed}",
                "<bring> the {side} hand to the mouth and <drink> {speed}",
            )
        },
        sided=True,
        role="gesture",
    ),
    Action(
        "phone",
        gestures.hold,
        {
            "phone": (
                "<bring> a phone to the {side} ear {speed}",
                "<answer> a phone with the {side} hand {speed}",
                "<put> the {side} hand to the ear {speed}",
            )
        },
        sided=True,
        role="gesture",
    ),
    Action(
        "cover_face",
        gestures.hold,
        {
            "cover": (
                "<cover> the face with both hands {speed}",
                "<put> both hands over the face {speed}",
                "<hide> the face behind both hands {speed}",
            )
        },
    ),
    Action(
        "scratch_head",
        gestures.scratch_head,
        {
            "": (
                "<scratch> the head with the {side} hand {speed}",
                "<raise> the {side} hand to scratch the head {speed}",
                "<rub> the head with the {side} hand {speed}",
            )
        },
        sided=True,
        role="gesture",
    ),
    Action(
        "knock",
        gestures.knock,
        {
            "": (
                "<knock> on a door with the {side} hand {speed}",
                "<raise> the {side} fist and <knock> on something {speed}",
                "<knock> in front of the body with the {side} hand {speed}",
            )
        },
        sided=True,
        counts=(1, 2),
    ),
    Action(
        "push",
        gestures.push,
        {
            "": (
                "<push> forward with both hands {times} {speed}",
                "<push> something away with both arms {times} {speed}",
                "<shove> with both hands {times} {speed}",
            )
        },
        counts=(1, 2),
    ),
    Action(
        "arm_circles",
        gestures.arm_circles,
        {
            "": (
                "<circle> the {side} arm {speed}",
                "<swing> the {side} arm in big circles {speed}",
                "<rotate> the {side} arm at the shoulder {speed}",
            ),
            "both": (
                "<circle> both arms {speed}",
                "<swing> both arms in big circles {speed}",
                "<rotate> both arms at the shoulders {speed}",
            ),
        },
        sided=True,
        unsided=("both",),
        counts=(1, 2),
    ),
    Action(
        "flap",
        gestures.flap,
        {
            "": (
                "<flap> the arms like a bird {speed}",
                "<flap> both arms up and down {speed}",
                "<beat> both arms like wings {speed}",
            )
        },
        counts=(1, 2),
        role="gesture",
    ),
    Action(
        "look",
        gestures.look,
        {
            "": (
                "<look> to the {side} {speed}",
                "<turn> the head to the {side} {speed}",
                "<glance> over to the {side} {speed}",
            ),
            "around": (
                "<look> to the {side} and then to the {other} {speed}",
                "<look> around {speed} starting from the {side}",
                "<turn> the head {side} and then {other} {speed}",
            ),
        },
        sided=True,
        role="gesture",
    ),
    Action(
        "look_up_or_down",
        gestures.look,
        {
            "up": (
                "<look> up {speed}",
                "<look> up at the sky {speed}",
                "<tilt> the head back {speed}",
            ),
            "down": (
                "<look> down {speed}",
                "<look> at the floor {speed}",
                "<lower> the head {speed}",
            ),
        },
        role="gesture",
    ),
    Action(
        "nod",
        gestures.nod,
        {
            "": ("<nod> {speed}", "<nod> the head {speed}", "<nod> in agreement {speed}"),
            "shake": (
                "<shake> the head {speed}",
                "<shake> the head from side to side {speed}",
                "<shake> the head in disagreement {speed}",
            ),
        },
        counts=(1, 2, 3),
        role="gesture",
    ),
    Action(
        "bend_trunk",
        gestures.bend_trunk,
        {
            "": (
                "<bend> to the {side} side {times} {speed}",
                "<lean> the upper body to the {side} {times} {speed}",
                "<do> a side bend to the {side} {times} {speed}",
            ),
            "twist": (
                "<twist> the upper body to the {side} {times} {speed}",
                "<rotate> the torso to the {side} {times} {speed}",
                "<turn> the shoulders to the {side} {times} {speed}",
            ),
        },
        sided=True,
        counts=(1, 2),
    ),
)
