"""The procedural motions: geometry that the words promise, and the same clip every time."""

import pickle
import random
import re
from collections import Counter

import numpy as np
import pytest

from lead.core.errors import RequestError
from lead.data.source import Source
from lead.data.sources.synthetic import SyntheticSource
from lead.data.synthetic import clip_ids, compose, plan, write_captions
from lead.data.synthetic.captions import conjugate
from lead.data.synthetic.catalogue import ACTIONS
from lead.data.synthetic.composer import perform
from lead.data.synthetic.pose import Track, joints_of
from lead.data.synthetic.timing import interpolate
from lead.representation import features_to_joints

PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)
HIPS, KNEES, ANKLES, TOES = (1, 2), (4, 5), (7, 8), (10, 11)  # left, right
WRISTS, HEAD = (20, 21), 15
SIDES = ("left", "right")
SEED = 11


@pytest.fixture(scope="module")
def motions() -> dict[str, np.ndarray]:
    return {name: compose(name, SEED)[0] for name in clip_ids(200, SEED)}


def examples(action: str, count: int = 6, **wanted):
    """(manner, joints) of clips of one action, with the wanted properties of its manner."""
    found = []
    for index in range(400):
        name = f"{action}-{index:06d}"
        manner = plan(name, SEED).acts[0].manner
        if all(getattr(manner, key) == value for key, value in wanted.items()):
            found.append((manner, compose(name, SEED)[0].astype(float)))
        if len(found) == count:
            return found
    raise AssertionError(f"too few {action} with {wanted}")


def facing(joints: np.ndarray) -> np.ndarray:
    """Horizontal unit vector out of the belly, from the hips: left x up."""
    across = joints[:, 1] - joints[:, 2]
    forward = np.stack([-across[:, 2], 0 * across[:, 0], across[:, 0]], axis=-1)
    return forward / np.linalg.norm(forward, axis=-1, keepdims=True)


def turned(joints: np.ndarray) -> float:
    """Turn from the first to the last frame in radians, positive to the left."""
    forward = facing(joints)
    yaw = np.unwrap(np.arctan2(forward[:, 0], forward[:, 2]))
    return float(yaw[-1] - yaw[0])


def ahead(joints: np.ndarray) -> np.ndarray:
    """Metres a second of the pelvis along the facing."""
    return (np.diff(joints[:, 0], axis=0) * facing(joints)[:-1]).sum(-1) * 20


def test_same_name_and_seed_same_clip_and_another_seed_another():
    joints, captions = compose("walk-000003", 5)
    again, captions_again = compose("walk-000003", 5)
    assert np.array_equal(joints, again) and captions == captions_again
    other, _ = compose("walk-000003", 6)
    assert joints.shape != other.shape or not np.allclose(joints, other)
    assert joints.dtype == np.float32 and joints.shape[1:] == (22, 3)


def test_first_names_do_not_depend_on_how_many_follow():
    names = clip_ids(1000, 0)
    assert clip_ids(37, 0) == names[:37] and len(set(names)) == 1000
    counts = Counter(name.rsplit("-", 1)[0] for name in names)
    assert all(counts[action] >= 5 for action in ACTIONS)
    assert sum("_then_" in name for name in names) > 100
    assert sum("_while_" in name for name in names) > 50


def test_unknown_action_is_a_request_error():
    with pytest.raises(RequestError, match="did you mean 'walk'"):
        plan("wlak-000000", 0)


def test_any_subset_in_any_order_is_the_same_clip():
    source = SyntheticSource(clips=24, seed=3)
    items = source.list_items()
    whole = {clip.id: clip for clip in source.load(items)}
    chosen = random.Random(1).sample(items, 5)
    for clip in pickle.loads(pickle.dumps(source)).load(chosen):  # noqa: S301
        assert clip.captions == whole[clip.id].captions
        assert np.abs(clip.features - whole[clip.id].features).max() < 1e-5


def test_lengths_and_values(motions):
    lengths = [len(joints) for joints in motions.values()]
    assert min(lengths) >= 41 and max(lengths) <= 197
    assert len(set(lengths)) > 60
    assert all(np.isfinite(joints).all() for joints in motions.values())


def test_bones_keep_the_published_lengths(motions):
    # Offsets of HumanML3D's reference clip: thigh, shin, foot, collar, upper arm, forearm (left).
    published = {4: 0.3936, 7: 0.4324, 10: 0.1434, 13: 0.1375, 18: 0.2568, 20: 0.2660, 15: 0.1030}
    for joints in motions.values():
        bones = np.linalg.norm(joints[:, 1:] - joints[:, PARENTS[1:]], axis=-1)
        assert np.ptp(bones, axis=0).max() < 1e-4
        for joint, length in published.items():
            assert bones[0, joint - 1] == pytest.approx(length, abs=1e-4)


def test_nothing_sinks_and_somebody_stands_on_the_floor(motions):
    for name, joints in motions.items():
        assert joints[..., 1].min() > -0.01, name
        lowest = joints[:, TOES, 1].min(axis=1)
        assert lowest.min() < 0.005, name
        assert joints[:, 0, 1].max() < 1.0 + 0.6, name


def test_no_jumps_between_frames(motions):
    for name, joints in motions.items():
        speed = np.linalg.norm(np.diff(joints, axis=0), axis=-1) * 20
        assert speed[:, [0, 3, 6, 9, 12]].max() < 6.5, name  # a sprint and a jump's take-off
        assert speed.max() < 13, name  # a fast foot or throwing hand


def test_planted_feet_stay_put(motions):
    walking = ("walk", "turn", "side_step", "take_steps", "veer", "zigzag", "march", "squat", "sit")
    moving, total = 0, 0
    for name, joints in motions.items():
        if not name.startswith(walking) or "_then_" in name:
            continue
        toes = joints[:, TOES]
        low = toes[..., 1].argmin(axis=1)[:-1]
        rows = np.arange(len(low))
        speed = np.linalg.norm(np.diff(toes[..., [0, 2]], axis=0), axis=-1)[rows, low] * 20
        planted = (toes[rows, low, 1] < 0.05) & (toes[rows + 1, low, 1] < 0.05)
        moving += int((speed[planted] > 0.1).sum())
        total += int(planted.sum())
        assert np.median(speed[planted]) < 0.005, name
    assert total > 2000
    assert moving / total < 0.08


def test_knees_bend_forward():
    for action in ("walk", "run", "squat", "sit", "jump", "kick", "walk_backward", "lunge"):
        for _, joints in examples(action, 2):
            forward = facing(joints)
            for hip, knee, ankle in zip(HIPS, KNEES, ANKLES, strict=True):
                leg = joints[:, ankle] - joints[:, hip]
                along = ((joints[:, knee] - joints[:, hip]) * leg).sum(-1) / (leg**2).sum(-1)
                bend = joints[:, knee] - joints[:, hip] - along[:, None] * leg
                upright = leg[:, 1] < -0.3
                assert (bend * forward).sum(-1)[upright].min() > -0.03, action


def test_walking_goes_forward_and_backward_as_said():
    for action in ("walk", "run", "walk_styled"):
        for _, joints in examples(action):
            assert np.quantile(ahead(joints), 0.05) > -0.1
            assert np.median(ahead(joints)) > 0.3
    for _, joints in examples("walk_backward"):
        assert np.median(ahead(joints)) < -0.2


def test_quick_is_quicker_and_running_beats_walking():
    def top_speed(action, speed):
        return np.mean([np.quantile(ahead(j), 0.8) for _, j in examples(action, speed=speed)])

    slow, normal, quick = (top_speed("walk", speed) for speed in ("slowly", "", "quickly"))
    assert 0.4 < slow < 0.85 * normal < 0.85**2 * quick < 1.6
    assert top_speed("run", "") > 1.5 * normal


@pytest.mark.parametrize(
    ("action", "variant", "angle"),
    [
        ("turn", "", np.pi / 2),
        ("turn", "around", np.pi),
        ("turn", "full", 2 * np.pi),
        ("walk_and_turn", "", np.pi / 2),
        ("walk_and_return", "", np.pi),
        ("walk_in_circle", "", 2 * np.pi),
        ("run_in_circle", "", 2 * np.pi),
    ],
)
def test_turns_go_the_way_and_as_far_as_said(action, variant, angle):
    for side in SIDES:
        for _, joints in examples(action, 3, side=side, variant=variant):
            sign = 1 if side == "left" else -1
            assert sign * turned(joints) == pytest.approx(angle, rel=0.12)


def test_a_circle_closes():
    for _, joints in examples("walk_in_circle", 4):
        path = joints[:, 0, [0, 2]]
        assert np.linalg.norm(path[-1] - path[0]) < 0.3
        assert np.linalg.norm(path - path[0], axis=-1).max() > 1.0


def sides_of(side: str) -> tuple[int, int, int]:
    """Index of the side, of the other, and the sign of x on it (the figure starts facing +Z)."""
    return (0, 1, 1) if side == "left" else (1, 0, -1)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    "action", ["wave", "raise_arm", "salute", "scratch_head", "phone", "drink", "throw"]
)
def test_the_hand_that_is_named_goes_up(action, side):
    mine, other, _ = sides_of(side)
    for manner, joints in examples(action, 3, side=side):
        peak = joints[:, WRISTS, 1].max(axis=0)
        assert peak[mine] > peak[other] + 0.2, manner


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("action", "variant"), [("punch", ""), ("knock", ""), ("point", "forward"), ("point", "side")]
)
def test_the_hand_that_is_named_reaches_out(action, variant, side):
    mine, other, sign = sides_of(side)
    for manner, joints in examples(action, 3, side=side, variant=variant):
        hands = joints[:, WRISTS] - joints[:, [0]]
        out = sign * hands[..., 0] if variant == "side" else hands[..., 2]
        assert out[:, mine].max() > out[:, other].max() + 0.1, manner
        assert joints[:, WRISTS[mine], 1].max() > 1.2, manner


@pytest.mark.parametrize("side", SIDES)
def test_the_leg_that_is_named_is_lifted(side):
    mine, other, _ = sides_of(side)
    for action in ("kick", "lift_knee", "balance"):
        for manner, joints in examples(action, 3, side=side):
            assert joints[:, ANKLES[mine], 1].max() > joints[:, ANKLES[other], 1].max() + 0.25
            assert joints[:, TOES[other], 1].max() < 0.01, (action, manner)
    for _, joints in examples("hop", 3, side=side):
        middle = joints[len(joints) // 2 - 5 : len(joints) // 2 + 5]
        assert (middle[:, TOES[mine], 1] < middle[:, TOES[other], 1]).all()


@pytest.mark.parametrize("side", SIDES)
def test_the_body_goes_to_the_side_that_is_named(side):
    _, _, sign = sides_of(side)
    for _, joints in examples("side_step", 3, side=side):
        assert sign * (joints[-1, 0, 0] - joints[0, 0, 0]) > 0.2
    for _, joints in examples("bend_trunk", 3, side=side, variant=""):
        lean = joints[:, HEAD, 0] - joints[:, 0, 0]
        assert sign * lean[np.abs(lean).argmax()] > 0.2
    for _, joints in examples("look", 3, side=side, variant=""):
        gaze = joints[:, HEAD, 0] - joints[:, 12, 0]
        assert sign * gaze[np.abs(gaze).argmax()] > 0.02


def test_both_hands_and_t_pose():
    for _, joints in examples("wave", 2, variant="both"):
        assert joints[:, WRISTS, 1].max(axis=0).min() > 1.4
    for _, joints in examples("raise_arms", 3, variant="sideways"):
        span = np.linalg.norm(joints[:, 20] - joints[:, 21], axis=-1)
        assert span.max() > 1.3
    for _, joints in examples("clap", 4):
        apart = np.linalg.norm(joints[:, 20] - joints[:, 21], axis=-1)
        assert apart.min() < 0.17 and apart[:3].min() > 0.4


def flights(joints: np.ndarray, height: float) -> int:
    airborne = (joints[:, TOES, 1].min(axis=1) > height).astype(int)
    return int((np.diff(airborne) == 1).sum())


def test_jumps_leave_the_floor_as_often_as_said():
    for manner, joints in examples("jump", 16):
        assert flights(joints, 0.03) == manner.count, manner
        distance = ((joints[-1, 0] - joints[0, 0]) * facing(joints)[0]).sum()
        if manner.variant == "forward":
            assert distance > 0.35 * manner.count
        elif manner.variant == "back":
            assert distance < -0.15 * manner.count
        else:
            assert abs(distance) < 0.05


def test_squats_and_bows_are_counted():
    for action, joint, low, high in (("squat", 0, 0.75, 0.85), ("bow", HEAD, 1.38, 1.44)):
        for manner, joints in examples(action, 5):
            state, times = "up", 0
            for height in joints[:, joint, 1]:
                if state == "up" and height < low:
                    state, times = "down", times + 1
                elif state == "down" and height > high:
                    state = "up"
            assert times == manner.count, (action, manner)


def test_sitting_down_and_standing_up():
    for _, joints in examples("sit_down", 3):
        assert joints[0, 0, 1] > 0.9 and joints[-1, 0, 1] < 0.6
    for _, joints in examples("stand_up", 3):
        assert joints[0, 0, 1] < 0.6 and joints[-1, 0, 1] > 0.9
    for _, joints in examples("sit", 3):
        assert joints[:, 0, 1].min() < 0.6 and joints[-1, 0, 1] > 0.9


def test_second_action_of_a_pair_is_done():
    for index in range(8):
        name = f"walk_then_kick-{index:06d}"
        side = plan(name, SEED).acts[1].manner.side
        joints, captions = compose(name, SEED)
        first, second = np.array_split(joints, 2)
        assert np.linalg.norm(first[-1, 0] - first[0, 0]) > 0.5
        assert second[:, ANKLES[SIDES.index(side)], 1].max() > 0.4
        assert all("walk" in text or "steps" in text for text in captions)
        assert all("kick" in text and side in text for text in captions)
    for index in range(4):
        name = f"walk_while_wave-{index:06d}"
        joints, _ = compose(name, SEED)
        raised = joints[:, WRISTS, 1].max(axis=1) > 1.3
        assert np.median(np.linalg.norm(np.diff(joints[raised, 0], axis=0), axis=-1)) * 20 > 0.4


def test_captions_are_clean_different_sentences():
    texts = Counter()
    for name in clip_ids(1000, 2):
        captions = write_captions(name, 2)
        assert len(set(captions)) == 3
        texts.update(captions)
        for text in captions:
            assert re.fullmatch(r"[a-z0-9][a-z0-9 ,-]*[a-z0-9]\.", text), text
            assert not re.search(r"  | ,|, and then|\b(\w+) \1\b", text), text
            assert re.match(r"(a|the|someone|after|while)\b", text), text
    assert len(texts) > 2200


def test_captions_say_side_speed_and_never_the_wrong_one():
    slow = ("slow", "haste")
    quick = ("quick", "fast", "brisk")
    for name in clip_ids(600, 4):
        script = plan(name, 4)
        if script.joined:
            continue
        manner = script.acts[0].manner
        for text in write_captions(name, 4):
            words = {"left", "right"} & set(re.findall(r"\w+", text))
            if not manner.side:
                assert not words, text
            elif script.acts[0].action.name not in ("look", "balance"):
                assert words <= {manner.side}, text
            assert not (any(w in text for w in slow) and manner.speed != "slowly"), text
            assert not (any(w in text for w in quick) and manner.speed != "quickly"), text
            for number, said in ((2, ("twice", "two")), (3, ("three", "3 times"))):
                if any(word in text for word in said):
                    assert manner.count == number, text


def test_captions_name_the_other_side_where_it_is_meant():
    other = {"left": "right", "right": "left"}
    for index in range(10):
        name = f"balance-{index:06d}"
        lifted = plan(name, SEED).acts[0].manner.side
        said = " ".join(write_captions(name, SEED))
        assert f"{other[lifted]} foot" not in said and f"{lifted} leg" not in said
    for index in range(20):
        name = f"look-{index:06d}"
        manner = plan(name, SEED).acts[0].manner
        for text in write_captions(name, SEED):
            sides = re.findall(r"left|right", text)
            assert sides[0] == manner.side and sides[1:] in ([], [other[manner.side]]), text


@pytest.mark.parametrize(
    ("verb", "present", "going"),
    [
        ("walk", "walks", "walking"),
        ("run", "runs", "running"),
        ("wave", "waves", "waving"),
        ("clap", "claps", "clapping"),
        ("touch", "touches", "touching"),
        ("carry", "carries", "carrying"),
        ("sway", "sways", "swaying"),
        ("do", "does", "doing"),
        ("box", "boxes", "boxing"),
        ("squat", "squats", "squatting"),
        ("sidestep", "sidesteps", "sidestepping"),
        ("lean", "leans", "leaning"),
    ],
)
def test_verbs_are_put_into_their_forms(verb, present, going):
    assert conjugate(f"<{verb}> on", "present") == f"{present} on"
    assert conjugate(f"<{verb}> on", "going") == f"{going} on"
    assert conjugate(f"<{verb}> on", "base") == f"{verb} on"


def test_interpolation_is_minimum_jerk_between_two_rests():
    t = np.linspace(0, 2, 41)
    u = t / 2
    expected = 3 * (10 * u**3 - 15 * u**4 + 6 * u**5)
    assert np.allclose(interpolate(t, (0.0, 2.0), np.array([0.0, 3.0])), expected)


def test_interpolation_holds_stays_within_and_does_not_stop_on_the_way():
    t = np.linspace(0, 5, 501)
    curve = interpolate(t, (0.0, 1.0, 2.0, 3.0, 5.0), np.array([0.0, 0.4, 1.0, 1.0, -1.0]))
    assert np.abs(curve[(t >= 2) & (t <= 3)] - 1).max() < 1e-12
    assert curve.max() <= 1 + 1e-12 and curve.min() >= -1 - 1e-12
    speed = np.gradient(curve, t)
    assert speed[100] == pytest.approx(2 * 0.4 * 0.6 / (0.4 + 0.6), abs=1e-2)  # harmonic mean
    assert np.abs(np.diff(speed)).max() < 0.1


def test_mirroring_a_track_mirrors_the_joints_of_a_symmetric_pose():
    rng = np.random.default_rng(0)
    script = plan("kick-000000", 0)
    track = perform(script, rng)
    twice = track.mirrored().mirrored()
    assert np.allclose(twice.values, track.values)
    joints, mirrored = joints_of(track), joints_of(track.mirrored())
    swap = [0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20]
    reflected = mirrored[:, swap] * [-1, 1, 1]
    assert np.abs(reflected - joints).max() < 0.05  # the two legs differ by a centimetre


def test_placing_a_track_is_a_rigid_motion():
    rng = np.random.default_rng(0)
    track = perform(plan("walk_and_turn-000000", 0), rng)
    joints, moved = joints_of(track), joints_of(Track(track.values).placed(1.5, -2.0, 0.7))
    cos, sin = np.cos(0.7), np.sin(0.7)
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    assert np.allclose(moved, joints @ turn.T + [1.5, 0, -2.0], atol=1e-9)


def test_source_lists_and_loads_what_the_packer_needs():
    source = SyntheticSource(clips=40, seed=1)
    assert isinstance(source, Source)
    items = source.list_items()
    assert Counter(item.split for item in items) == {"train": 32, "val": 2, "test": 6}
    assert {item.labels["action"] for item in items} == {i.id.rsplit("-", 1)[0] for i in items}
    clips = source.load(items)
    assert [clip.id for clip in clips] == [item.id for item in items]
    for clip in clips:
        assert clip.features.shape[1] == 263 and clip.features.dtype == np.float32
        assert source.min_frames <= len(clip.features) <= source.max_frames
        assert len({caption.text for caption in clip.captions}) == 3
    assert source.statistics() is None
    described = source.describe(items)
    assert described["captions"] == 120 and sum(described["actions"].values()) == 40
    assert source.load([]) == []


def test_features_give_back_the_composed_figure():
    source = SyntheticSource(clips=20, seed=8)
    for clip in source.load(source.list_items())[:8]:
        composed = compose(clip.id, 8)[0][:-1]
        recovered = features_to_joints(clip.features)
        for a, b in ((20, 21), (7, 8), (15, 0), (20, 10), (4, 18)):
            before = np.linalg.norm(composed[:, a] - composed[:, b], axis=-1)
            after = np.linalg.norm(recovered[:, a] - recovered[:, b], axis=-1)
            assert np.abs(before - after).max() < 1e-3


def test_shares_of_the_splits():
    counts = Counter(item.split for item in SyntheticSource(clips=1000).list_items())
    assert counts == {"train": 800, "val": 50, "test": 150}
    assert set(Counter(i.split for i in SyntheticSource(clips=3).list_items()).values()) == {1}
    for bad in ({"clips": 2}, {"clips": 0}, {"splits": {"train": 0.5, "val": 0.2}}):
        with pytest.raises(RequestError):
            SyntheticSource(**bad)


def test_a_clip_costs_some_hundred_calls_and_many_cost_no_more(count_calls):
    def calls(clips: int) -> float:
        source = SyntheticSource(clips=clips)
        items = source.list_items()
        return count_calls(lambda: source.load(items)) / clips

    few, many = calls(8), calls(24)
    assert many < 1.2 * few and many < 1000, (few, many)
