"""The projection against hand computation, and the fitted camera against its promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lead.export.camera import Camera, fit_camera

RIGHT_ANGLE = float(np.pi / 2)


def camera(position: tuple, azimuth: float = 0.0, elevation: float = 0.0) -> Camera:
    return Camera(position, azimuth, elevation, focal=100.0, centre=(50.0, 60.0))


@pytest.mark.parametrize(
    ("view", "point", "pixel"),
    [
        # ten metres before the origin on +Z: 10 px per metre, x to the right, y up
        (camera((0.0, 0.0, 10.0)), (1.0, 2.0, 0.0), (60.0, 40.0, 10.0)),
        # five metres away: twice as large
        (camera((0.0, 0.0, 5.0)), (1.0, 2.0, 0.0), (70.0, 20.0, 20.0)),
        # raised by two metres, looking level: the point is now in the middle row
        (camera((0.0, 2.0, 10.0)), (1.0, 2.0, 0.0), (60.0, 60.0, 10.0)),
        # standing on +X: -Z is to the right, y up
        (camera((10.0, 0.0, 0.0), azimuth=RIGHT_ANGLE), (0.0, 1.0, -3.0), (80.0, 50.0, 10.0)),
        # straight above: +X to the right, +Z towards the lower edge
        (camera((0.0, 10.0, 0.0), elevation=RIGHT_ANGLE), (2.0, 0.0, 3.0), (70.0, 90.0, 10.0)),
        # 45 degrees up, 10 away: a point 1 up and 1 nearer along z is sqrt(2) nearer, dead centre
        (
            camera((0.0, 50**0.5, 50**0.5), elevation=RIGHT_ANGLE / 2),
            (0.0, 1.0, 1.0),
            (50.0, 60.0, 100 / (10 - 2**0.5)),
        ),
    ],
)
def test_pixels_computed_by_hand(view: Camera, point: tuple, pixel: tuple) -> None:
    assert view.project(np.array(point)) == pytest.approx(pixel)


@given(azimuth=st.floats(-4, 4), elevation=st.floats(-1.5, 1.5))
def test_axes_are_right_handed_and_level(azimuth: float, elevation: float) -> None:
    right, up, forward = camera((0.0, 0.0, 0.0), azimuth, elevation).axes()
    assert np.stack([right, up, forward]) @ np.stack([right, up, forward]).T == pytest.approx(
        np.eye(3), abs=1e-12
    )
    assert np.cross(right, up) == pytest.approx(-forward, abs=1e-12)
    assert right[1] == 0
    assert up[1] > 0


clouds = arrays(np.float64, (6, 3), elements=st.floats(-5, 5))


@settings(max_examples=60)
@given(points=clouds, azimuth=st.floats(-3, 3), elevation=st.floats(0, 1.4))
def test_a_fitted_camera_sees_every_ball_and_wastes_no_room(
    points: np.ndarray, azimuth: float, elevation: float
) -> None:
    box, margin = (10.0, 40.0, 310.0, 240.0), 0.3
    fitted = fit_camera(
        points, box, margin=margin, azimuth=azimuth, elevation=elevation, focal=500.0
    )
    directions = np.random.default_rng(0).normal(size=(4000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    seen = fitted.project(points[:, None] + margin * directions)
    assert (seen[..., 2] > 0).all()
    u, v = seen[..., 0], seen[..., 1]
    spare = np.array([u.min() - 10, 310 - u.max(), v.min() - 40, 240 - v.max()])
    assert (spare >= -1e-6).all()
    assert min(max(spare[:2]), max(spare[2:])) < 3  # full from side to side, or top to bottom


def test_what_lies_behind_the_camera_is_cut_off() -> None:
    view = camera((0.0, 1.0, 0.0))  # looks along -Z
    before, behind = [1.0, 0.0, -2.0], [1.0, 0.0, 2.0]
    assert view.outline(np.array([behind, [0.0, 0.0, 3.0]])) == []
    outline = view.outline(np.array([before, behind]))
    assert outline[0] == pytest.approx((50 + 100 / 2, 60 + 100 / 2))
    cut = np.array(outline[1:])  # the line's end, far off at the lower right
    assert (cut > 1e4).all()
    assert np.isfinite(cut).all()
