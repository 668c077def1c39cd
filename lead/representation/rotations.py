"""Quaternions (w, x, y, z) and continuous 6-D rotations, vectorised over leading axes."""

import torch
from jaxtyping import Float
from torch import Tensor

Quaternion = Float[Tensor, "*shape 4"]
Vector = Float[Tensor, "*shape 3"]


def quaternion_multiply(left: Float[Tensor, "*a 4"], right: Float[Tensor, "*b 4"]) -> Tensor:
    """Hamilton product: the rotation ``right`` followed by ``left``. Leading axes broadcast."""
    lw, lx, ly, lz = left.unbind(-1)
    rw, rx, ry, rz = right.unbind(-1)
    return torch.stack(
        [
            minus(minus(minus(lw * rw, lx, rx), ly, ry), lz, rz),
            minus(plus(plus(lw * rx, lx, rw), ly, rz), lz, ry),
            plus(plus(minus(lw * ry, lx, rz), ly, rw), lz, rx),
            plus(minus(plus(lw * rz, lx, ry), ly, rx), lz, rw),
        ]
    ).movedim(0, -1)  # components lie apart in memory, where the next product reads them faster


def plus(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """a + b c in one pass over the memory."""
    return torch.addcmul(a, b, c)


def minus(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """a - b c in one pass over the memory."""
    return torch.addcmul(a, b, c, value=-1)


def quaternion_inverse(quaternion: Quaternion) -> Quaternion:
    """Inverse of a unit quaternion: its conjugate."""
    return quaternion * quaternion.new_tensor([1.0, -1.0, -1.0, -1.0])


def quaternion_rotate(quaternion: Float[Tensor, "*a 4"], vector: Float[Tensor, "*b 3"]) -> Tensor:
    """Rotate vectors by unit quaternions: v + 2w (q x v) + 2 q x (q x v). Axes broadcast."""
    axis = quaternion[..., 1:]
    uv = cross(axis, vector)
    return vector + 2 * (quaternion[..., :1] * uv + cross(axis, uv))


def cross(left: Float[Tensor, "*a 3"], right: Float[Tensor, "*b 3"]) -> Tensor:
    """Cross product, leading axes broadcast; faster than torch.linalg.cross on the last axis."""
    lx, ly, lz = left.unbind(-1)
    rx, ry, rz = right.unbind(-1)
    parts = [minus(ly * rz, lz, ry), minus(lz * rx, lx, rz), minus(lx * ry, ly, rx)]
    return torch.stack(parts, dim=-1)


def quaternion_between(start: Float[Tensor, "*a 3"], end: Float[Tensor, "*b 3"]) -> Tensor:
    """The shortest rotation that turns ``start`` into ``end`` (vectors of any non-zero length).

    For opposite vectors the axis is not defined; any one perpendicular to ``start`` is taken. A
    vector of zeros has no direction; the identity is taken. So the result is always a unit
    quaternion.
    """
    start = torch.nn.functional.normalize(start, dim=-1)
    end = torch.nn.functional.normalize(end, dim=-1)
    # By the half-way vector: 1 + start . end would cancel to noise for nearly opposite vectors.
    halfway = start + end
    length = halfway.norm(dim=-1, keepdim=True)
    noise = 8 * torch.finfo(start.dtype).eps
    axis = cross(start, halfway) / length.clamp(min=noise)
    between = torch.nn.functional.normalize(torch.cat([length / 2, axis], dim=-1), dim=-1)
    if length.device.type == "cpu" and bool((length > noise).all()):
        return between  # no pair is opposite; asked on the CPU only, where the answer costs nothing
    axis = _perpendicular(start)
    no_axis = (axis == 0).all(-1, keepdim=True).to(axis.dtype)
    return torch.where(length > noise, between, torch.cat([no_axis, axis], dim=-1))


def rotation_between_sets(start: Float[Tensor, "*a n 3"], end: Float[Tensor, "*b n 3"]) -> Tensor:
    """The rotation that brings a set of vectors closest to another: a unit quaternion.

    Solves Wahba's problem (least sum of squared distances, all weights 1) by Davenport's method:
    the eigenvector of a symmetric 4x4 matrix with the largest eigenvalue. Leading axes broadcast.
    Where the vectors leave a turn open, as when all are parallel, one of the best is taken.
    """
    matrix = (end[..., :, None] * start[..., None, :]).sum(-3)
    trace = matrix.diagonal(dim1=-2, dim2=-1).sum(-1)
    skew = matrix.mT - matrix
    axis = torch.stack([skew[..., 1, 2], skew[..., 2, 0], skew[..., 0, 1]], dim=-1)
    davenport = torch.empty(*trace.shape, 4, 4, dtype=matrix.dtype, device=matrix.device)
    davenport[..., 0, 0] = trace
    davenport[..., 0, 1:] = davenport[..., 1:, 0] = axis
    identity = torch.eye(3, dtype=matrix.dtype, device=matrix.device)
    davenport[..., 1:, 1:] = matrix + matrix.mT - trace[..., None, None] * identity
    return torch.linalg.eigh(davenport).eigenvectors[..., -1]


def _perpendicular(vector: Vector) -> Vector:
    """A unit vector at right angles to each vector; zeros for a vector of zeros."""
    smallest = vector.abs().argmin(dim=-1, keepdim=True)
    least = torch.zeros_like(vector).scatter_(-1, smallest, 1.0)
    return torch.nn.functional.normalize(torch.linalg.cross(vector, least), dim=-1)


def quaternion_to_matrix(quaternion: Quaternion) -> Float[Tensor, "*shape 3 3"]:
    """Rotation matrix (acting on column vectors) of a unit quaternion."""
    w, x, y, z = quaternion.unbind(-1)
    x2, y2, z2 = 2 * x, 2 * y, 2 * z
    rows = [
        [1 - y * y2 - z * z2, x * y2 - w * z2, x * z2 + w * y2],
        [x * y2 + w * z2, 1 - x * x2 - z * z2, y * z2 - w * x2],
        [x * z2 - w * y2, y * z2 + w * x2, 1 - x * x2 - y * y2],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def quaternion_to_rotation_6d(quaternion: Quaternion) -> Float[Tensor, "*shape 6"]:
    """First two columns of the rotation matrix, one after the other (Zhou et al. 2019)."""
    w, x, y, z = quaternion.unbind(-1)
    x2, y2, z2 = 2 * x, 2 * y, 2 * z
    xy, zz = x * y2, 1 - z * z2
    first = [minus(zz, y, y2), plus(xy, w, z2), minus(x * z2, w, y2)]
    second = [minus(xy, w, z2), minus(zz, x, x2), plus(y * z2, w, x2)]
    return torch.stack([*first, *second], dim=-1)
