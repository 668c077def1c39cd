"""Quaternions and 6-D rotations against scipy's Rotation."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lead.representation.rotations import (
    quaternion_between,
    quaternion_inverse,
    quaternion_multiply,
    quaternion_rotate,
    quaternion_to_matrix,
    quaternion_to_rotation_6d,
)

NUMBERS = st.floats(-10, 10, allow_subnormal=False)
VECTORS = st.tuples(NUMBERS, NUMBERS, NUMBERS).filter(lambda v: math.hypot(*v) > 1e-3)
ROTATION_VECTORS = st.tuples(*[st.floats(-7, 7)] * 3)


def rotation(vector) -> Rotation:
    return Rotation.from_rotvec(vector)


def quaternion(turn: Rotation) -> torch.Tensor:
    """In this code base's order, w first."""
    return torch.tensor(turn.as_quat()[..., [3, 0, 1, 2]])


def vector(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def unit(values) -> torch.Tensor:
    return torch.nn.functional.normalize(vector(values), dim=-1)


def same(actual: torch.Tensor, expected, atol: float = 1e-12) -> None:
    np.testing.assert_allclose(actual.numpy(), np.asarray(expected), atol=atol, rtol=0)


@given(a=ROTATION_VECTORS, b=ROTATION_VECTORS)
def test_the_product_turns_by_the_right_factor_first(a, b):
    product = quaternion_multiply(quaternion(rotation(a)), quaternion(rotation(b)))
    same(quaternion_to_matrix(product), (rotation(a) * rotation(b)).as_matrix())


@given(a=ROTATION_VECTORS)
def test_the_inverse_turns_back(a):
    turn = quaternion(rotation(a))
    same(quaternion_to_matrix(quaternion_inverse(turn)), rotation(a).inv().as_matrix())
    same(quaternion_multiply(turn, quaternion_inverse(turn)), [1, 0, 0, 0])


@given(a=ROTATION_VECTORS, v=VECTORS)
def test_rotating_a_vector(a, v):
    same(quaternion_rotate(quaternion(rotation(a)), vector(v)), rotation(a).apply(v), atol=1e-11)


@given(a=ROTATION_VECTORS)
def test_the_matrix_acts_on_columns(a):
    same(quaternion_to_matrix(quaternion(rotation(a))), rotation(a).as_matrix())


def test_a_quarter_turn_about_y_takes_z_to_x():
    half = math.sqrt(0.5)
    turn = vector([half, 0, half, 0])  # w first, right-handed
    same(quaternion_rotate(turn, vector([0, 0, 1])), [1, 0, 0])
    same(quaternion_to_rotation_6d(turn), [0, 0, -1, 0, 1, 0])  # the images of x and of y


@given(a=ROTATION_VECTORS)
def test_six_numbers_are_the_first_two_columns(a):
    matrix = rotation(a).as_matrix()
    six = quaternion_to_rotation_6d(quaternion(rotation(a)))
    same(six, np.concatenate([matrix[:, 0], matrix[:, 1]]))


@given(a=VECTORS, b=VECTORS)
def test_between_is_the_shortest_turn(a, b):
    turn = quaternion_between(vector(a), vector(b))
    assert turn.norm().item() == pytest.approx(1)
    same(quaternion_rotate(turn, unit(a)), unit(b))
    # The shortest turn's angle is that between the vectors, by the stable half-angle formula.
    angle = 2 * math.atan2((unit(a) - unit(b)).norm(), (unit(a) + unit(b)).norm())
    assert 2 * math.atan2(turn[1:].norm(), turn[0]) == pytest.approx(angle, abs=1e-9)


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float32, 3e-6), (torch.float64, 1e-14)])
@pytest.mark.parametrize("off", [0, 1e-12, 1e-9, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1])
def test_between_nearly_opposite_vectors_is_as_exact_as_the_number_type(dtype, atol, off):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(2000, 3, generator=generator, dtype=torch.float64)
    side = torch.linalg.cross(start, torch.randn(2000, 3, generator=generator).double())
    start, side = (torch.nn.functional.normalize(v, dim=-1) for v in (start, side))
    end = (3.7 * (-math.cos(off) * start + math.sin(off) * side)).to(dtype)
    start = start.to(dtype)
    turn = quaternion_between(start, end)
    torch.testing.assert_close(turn.norm(dim=-1), torch.ones(2000, dtype=dtype))
    arrived = quaternion_rotate(turn, start)
    assert (arrived - end / 3.7).norm(dim=-1).max() < atol


@pytest.mark.parametrize("axis", np.vstack([np.eye(3), -np.eye(3)]).tolist())
def test_between_opposite_axes_is_a_half_turn(axis):
    turn = quaternion_between(vector(axis), -vector(axis))
    assert turn[0].abs() < 1e-12
    same(quaternion_rotate(turn, vector(axis)), [-value for value in axis])


def test_between_equal_vectors_is_no_turn():
    vectors = torch.randn(50, 3, dtype=torch.float64)
    identity = torch.tensor([1.0, 0, 0, 0], dtype=torch.float64).expand(50, 4)
    torch.testing.assert_close(quaternion_between(vectors, 2 * vectors), identity)


@pytest.mark.parametrize("size", [1e-9, 1e-4, 1e4, 1e9])
def test_between_depends_on_directions_alone(size):
    start, end = torch.randn(2, 100, 3)
    torch.testing.assert_close(
        quaternion_between(start * size, end / size), quaternion_between(start, end)
    )


def test_between_takes_no_turn_where_a_vector_has_no_direction():
    nothing, something = torch.zeros(3), torch.tensor([0.0, -2.0, 0.0])
    for pair in ((nothing, something), (something, nothing), (nothing, nothing)):
        same(quaternion_between(*pair), [1, 0, 0, 0])


def test_between_has_finite_gradients_everywhere():
    start = torch.tensor([[1.0, 0, 0], [1.0, 0, 0], [1.0, 0, 0], [0.0, 0, 0]], requires_grad=True)
    end = torch.tensor([[1.0, 0, 0], [-1.0, 0, 0], [0, 0, 0], [0, 1.0, 0]], requires_grad=True)
    quaternion_between(start, end).sum().backward()
    assert torch.isfinite(start.grad).all()
    assert torch.isfinite(end.grad).all()
    assert start.grad[0].abs().sum() > 0  # equal vectors still know where to turn


def test_gradients_agree_with_finite_differences():
    start, end = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)

    def turned(start, end):
        return quaternion_to_rotation_6d(quaternion_between(start, end))

    assert torch.autograd.gradcheck(turned, (start, end))


def test_leading_axes_broadcast():
    turn = quaternion(Rotation.random(4, random_state=0)).reshape(4, 1, 4)
    points = torch.randn(3, 3, dtype=torch.float64)
    rotated = quaternion_rotate(turn, points)
    assert rotated.shape == (4, 3, 3)
    same(rotated[2, 1], Rotation.random(4, random_state=0)[2].apply(points[1].numpy()))
    assert quaternion_multiply(turn, turn[0]).shape == (4, 1, 4)
    assert quaternion_between(points[:, None], points).shape == (3, 3, 4)
    assert quaternion_to_rotation_6d(turn).shape == (4, 1, 6)
