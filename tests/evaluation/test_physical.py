"""Joint-space measures against closed forms, hand-made motions and independent code."""

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter1d
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from lead.core.errors import RequestError
from lead.evaluation import physical
from lead.evaluation.tally import Clip, PhysicalTally
from lead.representation import constant_bones
from lead.representation.skeletons import HUMANML3D, KIT

PAIRED = (
    physical.mpjpe,
    physical.root_aligned_mpjpe,
    physical.path_error,
    physical.pa_mpjpe,
    physical.acceleration_error,
)


def random_motion(frames: int = 12, joints: int = 22, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, joints, 3))


def standing(frames: int, skeleton=HUMANML3D, height: float = 1.0) -> np.ndarray:
    """Nobody moves, every joint at one height."""
    joints = np.zeros((frames, skeleton.joints, 3))
    joints[..., 1] = height
    return joints


def sliding(
    speed: float, height: float, *, fps: float = 20.0, seconds: float = 3.0, toe: int = 10, **figure
) -> np.ndarray:
    """A figure whose one toe moves along the floor, at a right angle to neither axis."""
    joints = standing(round(seconds * fps) + 1, **figure)
    time_ = np.arange(len(joints)) / fps
    joints[:, toe] = np.stack([0.6 * speed * time_, 0 * time_ + height, 0.8 * speed * time_], -1)
    return joints


def gliding(speed: float, seconds: float) -> np.ndarray:
    """A figure in the rest pose, its toes 2 cm above the floor, that is moved along it."""
    pose = np.zeros((22, 3))
    for chain in HUMANML3D.chains:
        for parent, joint in zip(chain, chain[1:], strict=False):
            pose[joint] = pose[parent] + HUMANML3D.reference_offsets().numpy()[joint]
    pose[:, 1] += 0.02 - pose[:, 1].min()
    way = speed * np.arange(round(seconds * 20) + 1)[:, None] / 20 * np.array([0.6, 0, 0.8])
    return pose + way[:, None]


class TestErrors:
    def test_a_shift_is_the_global_error_and_no_other(self):
        real = random_motion()
        moved = real + np.array([0.03, -0.04, 0.12])  # 13 cm
        assert physical.mpjpe(real, moved) == pytest.approx(130)
        assert physical.path_error(real, moved) == pytest.approx(1000 * np.hypot(0.03, 0.12))
        for measure in (
            physical.root_aligned_mpjpe,
            physical.pa_mpjpe,
            physical.acceleration_error,
        ):
            assert measure(real, moved) == pytest.approx(0, abs=1e-9)

    def test_one_joint_off_counts_by_its_share(self):
        real = random_motion()
        wrong = real.copy()
        wrong[3, 5] += [0.0, 0.3, 0.4]
        assert physical.mpjpe(real, wrong) == pytest.approx(500 / (12 * 22))
        assert physical.root_aligned_mpjpe(real, wrong) == pytest.approx(500 / (12 * 22))

    def test_a_pelvis_off_moves_every_other_joint_when_aligned(self):
        real = random_motion()
        wrong = real.copy()
        wrong[:, 0] += [0.0, 0.0, 0.01]
        assert physical.mpjpe(real, wrong) == pytest.approx(10 / 22)
        assert physical.root_aligned_mpjpe(real, wrong) == pytest.approx(10 * 21 / 22)

    def test_rotation_and_scale_in_each_frame_vanish_under_procrustes(self):
        real = random_motion()
        turns = Rotation.random(len(real), random_state=1).as_matrix()
        scales = np.linspace(0.3, 4.0, len(real))[:, None, None]
        changed = scales * real @ turns + np.arange(len(real))[:, None, None]
        assert physical.pa_mpjpe(real, changed) == pytest.approx(0, abs=1e-9)
        assert physical.root_aligned_mpjpe(real, changed) > 100

    def test_a_mirrored_pose_is_not_aligned_by_a_reflection(self):
        real = random_motion()
        mirrored = real * np.array([-1.0, 1.0, 1.0])
        assert physical.pa_mpjpe(real, mirrored) > 100

    @pytest.mark.parametrize("handedness", [1.0, -1.0])
    def test_procrustes_agrees_with_the_best_rotation_of_scipy(self, handedness):
        """The best scale of a turned pose is a one-dimensional regression.

        Near a mirror image the best orthogonal map is a reflection, and has to be passed over.
        """
        real = random_motion(1, 8)[0]
        predicted = real * [handedness, 1.0, 1.0] + 0.3 * random_motion(1, 8, seed=3)[0]
        centred = real - real.mean(0), predicted - predicted.mean(0)
        turn, residual = Rotation.align_vectors(*centred)
        turned = turn.apply(centred[1])
        scale = (turned * centred[0]).sum() / (turned**2).sum()
        expected = np.linalg.norm(scale * turned - centred[0], axis=1).mean()
        assert residual > 0
        assert physical.pa_mpjpe(real[None], predicted[None]) == pytest.approx(1000 * expected)

    def test_procrustes_agrees_with_scipy_where_no_reflection_helps(self):
        """scipy allows reflections, scales both to unit norm and returns the aligned poses."""
        rng = np.random.default_rng(5)
        real = random_motion()
        predicted = real + 0.2 * rng.normal(size=real.shape)
        distances = []
        for one, other in zip(real, predicted, strict=True):
            first, second, _ = procrustes(one, other)
            norm = np.linalg.norm(one - one.mean(0))
            distances.append(np.linalg.norm(first - second, axis=1).mean() * norm)
        expected = 1000 * np.mean(distances)
        assert physical.pa_mpjpe(real, predicted) == pytest.approx(expected)

    def test_a_prediction_shrunk_to_a_point_is_off_by_the_pose_itself(self):
        real = random_motion()
        spread = np.linalg.norm(real - real.mean(1, keepdims=True), axis=-1).mean()
        assert physical.pa_mpjpe(real, np.zeros_like(real)) == pytest.approx(1000 * spread)

    def test_quadratic_motion_has_its_acceleration_as_error(self):
        real = random_motion(30)
        time_ = np.arange(30)[:, None, None]
        drift = 0.5 * time_**2 * np.array([0.002, 0.001, -0.002]) + time_ * 0.7 + 5
        assert physical.acceleration_error(real, real + drift) == pytest.approx(3.0)

    @pytest.mark.parametrize("measure", PAIRED)
    def test_equal_motions_have_no_error(self, measure):
        real = random_motion()
        assert measure(real, real.copy()) == pytest.approx(0, abs=1e-9)


class TestSkating:
    @pytest.mark.parametrize(
        ("speed", "height", "ratio"), [(1.0, 0.02, 1.0), (1.0, 0.10, 0.0), (0.4, 0.02, 0.0)]
    )
    @pytest.mark.parametrize("toe", [10, 11])
    def test_a_foot_slides_if_it_is_low_and_fast(self, speed, height, ratio, toe):
        joints = sliding(speed, height, toe=toe)
        assert physical.foot_skating_ratio(joints, 20.0, HUMANML3D) == ratio

    @pytest.mark.parametrize("toe", [15, 20])
    def test_kit_has_its_own_toes(self, toe):
        joints = sliding(1.0, 0.02, fps=12.5, toe=toe, skeleton=KIT)
        assert physical.foot_skating_ratio(joints, 12.5, KIT) == 1
        assert physical.foot_skating_ratio(sliding(1.0, 0.02, skeleton=KIT), 20.0, KIT) == 0

    @pytest.mark.parametrize(
        ("skeleton", "ankles", "leg"), [(HUMANML3D, (7, 8), 0.81583), (KIT, (14, 19), 0.4488)]
    )
    def test_an_ankle_slides_below_an_eighth_of_the_leg(self, skeleton, ankles, leg):
        """Right legs: 0.39018813 + 0.42564332 m, and 0.2231 + 0.2257 m."""
        for ankle in ankles:
            for height, ratio in ((0.119 * leg, 1), (0.121 * leg, 0)):
                joints = sliding(1.0, height, toe=ankle, skeleton=skeleton)
                assert physical.foot_skating_ratio(joints, 20.0, skeleton) == ratio

    def test_vertical_speed_does_not_count(self):
        joints = standing(61)
        joints[:, 10, 1] = np.linspace(0.04, -3.0, 61)
        assert physical.foot_skating_ratio(joints, 20.0, HUMANML3D) == 0

    def test_a_step_counts_only_between_two_low_frames(self):
        joints = sliding(1.0, 0.02)
        joints[20:30, 10, 1] = 0.2  # 10 high frames touch 11 of the 60 intervals
        assert physical.foot_skating_ratio(joints, 20.0, HUMANML3D) == pytest.approx(49 / 60)

    def test_a_single_jump_is_averaged_away(self):
        joints = standing(61)
        joints[:, 10, 1] = 0.0
        joints[30:, 10, 0] = 0.1  # 2 m/s in one interval, 0.4 m/s over five
        assert physical.foot_skating_ratio(joints, 20.0, HUMANML3D) == 0
        joints[30:, 10, 0] = 0.13  # 0.52 m/s over five: the jump itself is sliding
        assert physical.foot_skating_ratio(joints, 20.0, HUMANML3D) == pytest.approx(1 / 60)

    @pytest.mark.parametrize(("fps", "window"), [(12.5, 3), (20.0, 5), (30.0, 7), (60.0, 15)])
    def test_the_average_is_over_a_quarter_of_a_second_at_any_rate(self, fps, window):
        for mean_speed, intervals in ((0.49, 0), (0.51, 1)):
            joints = standing(61)
            joints[:, 10, 1] = 0.0
            joints[30:, 10, 0] = mean_speed * window / fps
            ratio = physical.foot_skating_ratio(joints, fps, HUMANML3D)
            assert ratio == pytest.approx(intervals / 60)

    @pytest.mark.parametrize("seed", range(4))
    def test_random_feet_against_the_definition_written_out(self, seed):
        rng = np.random.default_rng(seed)
        joints = standing(80)
        own = [10, 11, 7, 8]  # toes, ankles
        joints[:, own] = np.cumsum(rng.normal(0, 0.03, size=(80, 4, 3)), axis=0)
        joints[:, own, 1] = rng.uniform(0.0, 0.12, size=(80, 4))
        feet, floor = joints[:, own], (0.05, 0.05, 0.12 * 0.81583145, 0.12 * 0.81583145)
        speed = np.sqrt(((feet[1:] - feet[:-1])[..., [0, 2]] ** 2).sum(-1)) * 20
        smooth = uniform_filter1d(speed, size=5, axis=0, mode="constant")
        frames, total = 0, 0.0
        for t in range(79):
            low = [max(feet[t, f, 1], feet[t + 1, f, 1]) < floor[f] for f in range(4)]
            frames += any(low[f] and speed[t, f] > 0.5 and smooth[t, f] > 0.5 for f in range(4))
            total += sum(low[f] * smooth[t, f] for f in range(4))
        assert 0 < frames < 79
        ratio = physical.foot_skating_ratio(joints, 20.0, HUMANML3D)
        assert ratio == pytest.approx(frames / 79)
        slides = (feet[:-1, :2, 1] < 0.05) & (feet[1:, :2, 1] < 0.05)
        slides &= (speed[:, :2] > 0.5) & (smooth[:, :2] > 0.5)
        toes = physical.toe_skating_ratio(joints, 20.0, HUMANML3D)
        assert 0 < toes < ratio
        assert toes == pytest.approx(slides.any(axis=1).mean())
        speed = physical.skating_speed(joints, 20.0, HUMANML3D)
        assert speed == pytest.approx(total / (4 * 79))

    def test_mean_speed_of_one_sliding_joint_of_four(self):
        """Each end's two averages lack 2/5 and 1/5 of an interval, counted as still: 1.2 of 60."""
        speed = physical.skating_speed(sliding(0.4, 0.02), 20.0, HUMANML3D)
        assert speed == pytest.approx(0.4 / 4 * (60 - 1.2) / 60)

    def test_a_clip_shorter_than_the_window(self):
        joints = sliding(1.0, 0.02)[:4]
        assert physical.foot_skating_ratio(joints, 20.0, HUMANML3D) == 1  # 3/5 m/s
        assert physical.foot_skating_ratio(joints[:3], 20.0, HUMANML3D) == 0  # 2/5 m/s


class TestSmoothness:
    def test_jitter_of_a_sinusoid(self):
        """|third difference| of A sin(wt) is 8 A sin(w/2f)^3 |cos(w(t + 3/2f))|."""
        fps, amplitude, omega = 20.0, 0.2, 3.0
        joints = standing(100)
        time_ = np.arange(100) / fps
        joints[:, 4, 2] += amplitude * np.sin(omega * time_)
        phase = np.abs(np.cos(omega * (time_[:-3] + 1.5 / fps))).mean()
        expected = 8 * amplitude * np.sin(omega / (2 * fps)) ** 3 * phase * fps**3 / 22
        assert physical.jitter(joints, fps) == pytest.approx(expected)
        continuous = amplitude * omega**3 * 2 / np.pi / 22
        assert physical.jitter(joints, fps) == pytest.approx(continuous, rel=0.05)

    def test_cubic_motion_has_its_third_derivative(self):
        time_ = np.arange(40)[:, None, None] / 30
        joints = np.tile(time_**3 * np.array([0.0, 0.5, 0.0]) + time_**2, (1, 22, 1))
        assert physical.jitter(joints, 30.0) == pytest.approx(3.0)

    def test_root_speed_is_horizontal(self):
        joints = standing(21)
        joints[:, 0] += np.linspace(0, 1, 21)[:, None] * np.array([3.0, 7.0, 4.0])
        assert physical.root_speed(joints, 20.0) == pytest.approx(5.0)


class TestBody:
    def test_a_rigid_moving_figure_keeps_its_bones(self):
        pose = random_motion(1)[0]
        joints = Rotation.random(15, random_state=0).as_matrix() @ pose.T
        joints = np.swapaxes(joints, 1, 2) + random_motion(15, 1)
        assert physical.bone_length_deviation(joints, HUMANML3D) == pytest.approx(0, abs=1e-9)
        assert physical.largest_bone_length_change(joints, HUMANML3D) == pytest.approx(0, abs=1e-9)

    def test_one_bone_of_alternating_length(self):
        """The wrist is 20 or 26 cm from its elbow: 3 cm from the mean, in one bone of 21."""
        joints = standing(10)
        joints[::2, 20, 0] += 0.20
        joints[1::2, 20, 0] += 0.26
        deviation = physical.bone_length_deviation(joints, HUMANML3D)
        assert deviation == pytest.approx(30 / 21)
        assert physical.largest_bone_length_change(joints, HUMANML3D) == pytest.approx(30)

    def test_the_largest_change_may_be_one_frame(self):
        for usual, once in ((0.0, 0.1), (0.1, 0.0)):
            joints = standing(10, KIT)
            joints[:, 20, 2] = usual
            joints[7, 20, 2] = once  # left toes; 9 cm from the mean length
            assert physical.largest_bone_length_change(joints, KIT) == pytest.approx(90)
            assert physical.bone_length_deviation(joints, KIT) == pytest.approx(30 / 20)

    def test_penetration_is_the_depth_of_the_lowest_joint(self):
        joints = standing(4)
        joints[0, 10, 1], joints[0, 11, 1], joints[1, 7, 1] = -0.06, -0.01, -0.02
        assert physical.floor_penetration(joints) == pytest.approx((60 + 20) / 4)


def walk(fps: float) -> np.ndarray:
    """Smooth steps that slip: the same physical motion at any frame rate."""
    time_ = np.arange(round(6 * fps) + 1) / fps
    joints = standing(len(time_))
    joints[..., 2] += 1.2 * time_[:, None]
    joints[..., 1] += 0.03 * np.sin(2 * np.pi * time_)[:, None]
    for toe, phase in ((10, 0.0), (11, np.pi)):
        joints[:, toe, 1] = 0.05 + 0.05 * np.sin(2 * np.pi * 0.5 * time_ + phase)
        joints[:, toe, 2] = 1.2 * time_ - 0.18 * np.cos(2 * np.pi * 0.5 * time_ + phase)
    return joints


@pytest.mark.parametrize("fps", [12.5, 40.0, 60.0])
def test_rates_per_second_do_not_depend_on_the_frame_rate(fps):
    def both(name: str, *more: object) -> list[float]:
        return [getattr(physical, name)(walk(rate), *more) for rate in (20.0, fps)]

    def rates(name: str, *more: object) -> list[float]:
        return [getattr(physical, name)(walk(rate), rate, *more) for rate in (20.0, fps)]

    skating = rates("foot_skating_ratio", HUMANML3D)
    assert skating[0] > 0.2
    for pair in (skating, rates("skating_speed", HUMANML3D), rates("root_speed"), rates("jitter")):
        assert pair[1] == pytest.approx(pair[0], rel=0.06)
    for name in ("bone_length_deviation", "largest_bone_length_change"):
        one, other = both(name, HUMANML3D)
        assert other == pytest.approx(one, rel=0.02), name
    one, other = both("floor_penetration")
    assert other == pytest.approx(one, rel=0.02, abs=1e-9)


def test_real_motion_capture_is_rigid_and_above_the_floor(sample_data):
    """The published joints of a HumanML3D clip: metres, one skeleton, people who do not slide."""
    joints = np.load(sample_data / "humanml3d/new_joints/012314.npy", allow_pickle=False)
    found = physical.measure(joints, 20.0, HUMANML3D)
    assert found["largest_bone_length_change"] < 0.1
    assert found["floor_penetration"] < 1.0
    assert found["foot_skating_ratio"] < 0.3
    assert 1.0 < found["jitter"] < 300.0
    assert found["root_speed"] < 3.0


class TestInput:
    def test_tensors_and_arrays_give_the_same_numbers(self):
        real, predicted = random_motion(), random_motion(seed=1)
        tensors = [torch.from_numpy(x).requires_grad_() for x in (real, predicted)]
        arrays = physical.measure(predicted, 20.0, HUMANML3D, real)
        assert physical.measure(tensors[1], 20.0, HUMANML3D, tensors[0]) == arrays

    def test_half_precision_tensors_are_read(self):
        shifted = torch.full((4, 22, 3), 0.5, dtype=torch.bfloat16)
        shift = physical.mpjpe(torch.zeros_like(shifted), shifted)
        assert shift == pytest.approx(500 * np.sqrt(3))

    def test_single_precision_is_no_loss_of_accuracy(self):
        """A figure far from the origin: float32 third differences would be noise."""
        time_ = np.arange(40)[:, None, None] / 20
        joints = np.tile(time_**3 + 100, (1, 22, 3)).astype(np.float32)
        exact = joints.astype(np.float64)
        assert physical.jitter(joints, 20.0) == physical.jitter(exact, 20.0)

    def test_the_input_is_left_alone(self):
        real, predicted = random_motion(), random_motion(seed=1)
        kept = real.copy(), predicted.copy()
        physical.measure(predicted, 20.0, HUMANML3D, real)
        np.testing.assert_array_equal(real, kept[0])
        np.testing.assert_array_equal(predicted, kept[1])

    @pytest.mark.parametrize("measure", PAIRED)
    def test_motions_of_different_lengths_are_refused(self, measure):
        with pytest.raises(RequestError, match=r"real joints are \(5, 22, 3\).*\(6, 22, 3\)"):
            measure(random_motion(5), random_motion(6))

    @pytest.mark.parametrize(
        ("measure", "needed"),
        [
            (lambda x: physical.jitter(x, 20.0), 4),
            (lambda x: physical.acceleration_error(x, x), 3),
            (lambda x: physical.foot_skating_ratio(x, 20.0, HUMANML3D), 2),
            (lambda x: physical.skating_speed(x, 20.0, HUMANML3D), 2),
            (lambda x: physical.root_speed(x, 20.0), 2),
            (lambda x: physical.mpjpe(x, x), 1),
            (lambda x: physical.bone_length_deviation(x, HUMANML3D), 1),
            (physical.floor_penetration, 1),
        ],
    )
    def test_a_clip_is_long_enough_or_refused(self, measure, needed):
        assert np.isfinite(measure(random_motion(needed)))
        with pytest.raises(RequestError, match=f"at least {needed} frames, got {needed - 1}"):
            measure(random_motion(needed - 1))

    @pytest.mark.parametrize("shape", [(22, 3), (5, 22, 2), (5, 263), (1, 5, 22, 3), (5, 0, 3)])
    def test_a_wrong_shape_is_named(self, shape):
        with pytest.raises(RequestError, match=r"must be \(frames, joints, 3\), got "):
            physical.jitter(np.zeros(shape), 20.0)

    def test_a_clip_of_another_skeleton_is_refused(self):
        with pytest.raises(RequestError, match=r"\(frames, 22, 3\), got \(9, 21, 3\)"):
            physical.foot_skating_ratio(random_motion(9, 21), 20.0, HUMANML3D)
        with pytest.raises(RequestError, match=r"\(frames, 21, 3\), got \(9, 22, 3\)"):
            physical.bone_length_deviation(random_motion(9), KIT)

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_a_value_that_is_not_finite_is_placed(self, bad):
        joints = random_motion()
        joints[7, 3, 1] = bad
        with pytest.raises(RequestError, match="not finite, first in frame 7"):
            physical.floor_penetration(joints)

    @pytest.mark.parametrize("fps", [0.0, -20.0, float("nan"), float("inf")])
    def test_an_impossible_frame_rate_is_refused(self, fps):
        for call in (
            lambda: physical.jitter(random_motion(), fps),
            lambda: physical.root_speed(random_motion(), fps),
            lambda: physical.foot_skating_ratio(random_motion(), fps, HUMANML3D),
        ):
            with pytest.raises(RequestError, match="fps must be a positive number"):
                call()


class TestMeasure:
    def test_clips_weigh_the_same_whatever_their_lengths(self):
        tally = PhysicalTally(20.0, HUMANML3D)
        for clip in (gliding(1.0, 9), gliding(0.1, 1), gliding(0, 1)):
            tally.clips.append(Clip(physical.measure(clip, 20.0, HUMANML3D), {}))
        ratio = tally.estimates()["foot_skating_ratio"]
        assert ratio.mean == pytest.approx(1 / 3)
        assert ratio.count == 3
        # values 1, 0, 0: s^2 = 1/3
        assert ratio.margin == pytest.approx(1.96 * np.sqrt(1 / 3) / np.sqrt(3))

    def test_every_column_is_measured_and_every_measure_has_a_column(self):
        keys = [column.key for column in physical.COLUMNS]
        assert list(physical.measure(random_motion(), 20.0, HUMANML3D, random_motion())) == keys
        assert list(physical.measure(random_motion(), 20.0, HUMANML3D)) == keys[5:]

    @pytest.mark.parametrize("frames", [20, 9])
    def test_every_value_is_the_measure_it_is_named_after(self, frames):
        real, made = random_motion(frames, seed=1), random_motion(frames, seed=3)
        found = physical.measure(made, 20.0, HUMANML3D, real)
        seen = constant_bones(real), constant_bones(made)
        for name in (one.__name__ for one in PAIRED):
            assert found[name] == pytest.approx(getattr(physical, name)(*seen)), name
        extra = {
            **dict.fromkeys(("jitter", "root_speed"), (20.0,)),
            **dict.fromkeys(
                ("foot_skating_ratio", "toe_skating_ratio", "skating_speed"), (20.0, HUMANML3D)
            ),
            **dict.fromkeys(("bone_length_deviation", "largest_bone_length_change"), (HUMANML3D,)),
            "floor_penetration": (),
        }
        for name, arguments in extra.items():
            clip = made if "bone" in name else seen[1]
            assert found[name] == pytest.approx(getattr(physical, name)(clip, *arguments)), name

    def test_a_stretched_foot_hides_nothing(self):
        """A toe that stands while its foot moves on: bones grow, and what is seen slides."""
        joints = gliding(1.0, 3)
        joints[:, 10] = joints[0, 10]
        joints[:, 11] = joints[0, 11]
        assert physical.foot_skating_ratio(joints[:, :], 20.0, HUMANML3D) == 1  # by its ankles
        found = physical.measure(joints, 20.0, HUMANML3D)
        assert found["foot_skating_ratio"] == 1
        assert physical.toe_skating_ratio(joints, 20.0, HUMANML3D) == 0
        assert found["toe_skating_ratio"] > 0  # constant bones take the toes along
        assert found["largest_bone_length_change"] > 1000  # mm
        toes_alone = joints.copy()
        toes_alone[:, 7:9, 1] = 0.2  # ankles too high to count
        assert physical.foot_skating_ratio(toes_alone, 20.0, HUMANML3D) == 0
        assert physical.measure(toes_alone, 20.0, HUMANML3D)["skating_speed"] > 0

    def test_a_frame_more_costs_no_call_and_every_clip_as_many(self, count_calls):
        def calls(clips: int, frames: int = 40) -> int:
            made = [random_motion(frames, seed=seed) for seed in range(clips)]
            pairs = list(zip(made, made[::-1], strict=True))
            return count_calls(
                lambda: [physical.measure(*(one, 20.0, HUMANML3D, other)) for one, other in pairs]
            )

        calls(2)  # what is set up at the first use
        assert calls(2, 400) < 1.05 * calls(2)
        assert calls(16) - calls(8) < 1.05 * 8 * (calls(3) - calls(2))
