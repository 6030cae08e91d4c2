"""Plane geometry of pictures: points are (x, y) as fractions of the picture, y points down.

Exact in its decisions: a mirrored figure gives the mirrored answer, points on a border included.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Point = tuple[float, float]
_Matrix = tuple[float, ...]
"""3 x 3, row by row."""


def side(first: Point, second: Point, point: Point) -> float:
    """Positive to the right of whoever goes from `first` to `second`, negative to the left."""
    along = (second[0] - first[0], second[1] - first[1])
    return along[0] * (point[1] - first[1]) - along[1] * (point[0] - first[0])


def edges(polygon: Sequence[Point]) -> Iterator[tuple[Point, Point]]:
    """From each corner to the next one, and home."""
    return zip(polygon, [*polygon[1:], polygon[0]], strict=True)


def contains(polygon: Sequence[Point], point: Point) -> bool:
    """Whether the point lies in the polygon; its border belongs to it."""
    inside = False
    for a, b in edges(polygon):
        off = side(a, b, point)
        if off == 0 and _within(a, b, point):
            return True
        if (a[1] > point[1]) != (b[1] > point[1]) and (off > 0) == (a[1] > b[1]):
            inside = not inside
    return inside


def touch(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether the stretches ab and cd have a point in common."""
    c_side, d_side = side(a, b, c), side(a, b, d)
    a_side, b_side = side(c, d, a), side(c, d, b)
    if _apart(c_side, d_side) and _apart(a_side, b_side):
        return True
    ends = ((a, b, c, c_side), (a, b, d, d_side), (c, d, a, a_side), (c, d, b, b_side))
    return any(off == 0 and _within(p, q, r) for p, q, r, off in ends)


def area(polygon: Sequence[Point]) -> float:
    """Its share of the picture."""
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in edges(polygon))) / 2


def convex(polygon: Sequence[Point]) -> bool:
    """Whether one who walks around it always turns the same way, never straight on or back."""
    count = len(polygon)
    turns = [
        side(polygon[i], polygon[(i + 1) % count], polygon[(i + 2) % count]) for i in range(count)
    ]
    return all(turn > 0 for turn in turns) or all(turn < 0 for turn in turns)


@dataclass(frozen=True, slots=True)
class Plane:
    """From points of the picture to points of the ground, by four of them (a homography)."""

    matrix: _Matrix

    @classmethod
    def through(cls, image: Sequence[Point], ground: Sequence[Point]) -> "Plane":
        """The plane of which four points are known; both quadrilaterals are convex."""
        return cls(_product(_from_square(ground), _inverse(_from_square(image))))

    def at(self, point: Point) -> Point | None:
        """Where that is on the ground; None: at or beyond the horizon."""
        a, b, c, d, e, f, g, h, i = self.matrix
        x, y = point
        depth = g * x + h * y + i
        if depth == 0:
            return None
        return ((a * x + b * y + c) / depth, (d * x + e * y + f) / depth)


def _from_square(quad: Sequence[Point]) -> _Matrix:
    """Takes the unit square to a quadrilateral (Heckbert 1989, section 2.2.3)."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = quad
    dx1, dx2, dx3 = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, dy3 = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    whole = dx1 * dy2 - dx2 * dy1
    g = (dx3 * dy2 - dx2 * dy3) / whole
    h = (dx1 * dy3 - dx3 * dy1) / whole
    return (
        x1 - x0 + g * x1, x3 - x0 + h * x3, x0,
        y1 - y0 + g * y1, y3 - y0 + h * y3, y0,
        g, h, 1.0,
    )  # fmt: skip


def _inverse(m: _Matrix) -> _Matrix:
    """But for a factor, which means nothing here."""
    a, b, c, d, e, f, g, h, i = m
    return (
        e * i - f * h, c * h - b * i, b * f - c * e,
        f * g - d * i, a * i - c * g, c * d - a * f,
        d * h - e * g, b * g - a * h, a * e - b * d,
    )  # fmt: skip


def _product(m: _Matrix, n: _Matrix) -> _Matrix:
    return tuple(
        sum(m[3 * row + k] * n[3 * k + column] for k in range(3))
        for row in range(3)
        for column in range(3)
    )


def _within(a: Point, b: Point, point: Point) -> bool:
    """Whether a point of the line through a and b lies between them."""
    return min(a[0], b[0]) <= point[0] <= max(a[0], b[0]) and (
        min(a[1], b[1]) <= point[1] <= max(a[1], b[1])
    )


def _apart(one: float, other: float) -> bool:
    return (one > 0 > other) or (one < 0 < other)
