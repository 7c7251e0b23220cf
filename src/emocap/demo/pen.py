"""A pen that draws synthetic scenes: shapes in an object's own coordinates, in colours that are already lit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import cos, radians, sin

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
WIDTH, HEIGHT = 192, 144
W, H = 2 * WIDTH, 2 * HEIGHT  # the size drawn at, for smooth edges
HORIZON = 172
INK: Colour = (40, 34, 38)
WHITE: Colour = (250, 248, 244)
GLOW: Colour = (255, 214, 120)
SKIN: tuple[Colour, ...] = ((244, 206, 176), (222, 172, 134), (168, 116, 82), (116, 78, 58))


@dataclass(frozen=True)
class Light:
    """How a time of day or weather colours a scene.

    Attributes:
        tint: factors of red, green and blue for everything that emits no light.
        haze: colour of the haze; `near` and `far` are its shares at these depths.
        sky: colours from the top to the horizon.
        vignette: how much darker the corners are, 0 to 1.
    """

    tint: tuple[float, float, float]
    haze: Colour
    near: float
    far: float
    sky: tuple[Colour, ...]
    vignette: float


LIGHTS = {
    "day": Light((1.0, 1.0, 1.0), (214, 236, 250), 0.0, 0.35, ((74, 158, 232), (140, 202, 246), (226, 243, 252)), 0.1),
    "sunset": Light(
        (0.92, 0.64, 0.56), (255, 158, 98), 0.05, 0.5,
        ((66, 48, 116), (168, 74, 128), (244, 118, 92), (255, 186, 104), (255, 226, 150)), 0.25,
    ),
    "night": Light((0.30, 0.36, 0.60), (40, 54, 104), 0.05, 0.45, ((8, 12, 38), (22, 32, 78), (56, 74, 128)), 0.4),
    "storm": Light((0.50, 0.54, 0.60), (96, 104, 116), 0.08, 0.5, ((38, 42, 54), (74, 80, 94), (134, 140, 146)), 0.4),
    "fog": Light(
        (0.84, 0.86, 0.88), (212, 217, 221), 0.16, 0.85,
        ((190, 197, 204), (206, 212, 216), (222, 225, 226)), 0.1,
    ),
}  # fmt: skip


def _lighter(tint: tuple[float, float, float]) -> tuple[float, float, float]:
    return 0.7 * tint[0] + 0.3, 0.7 * tint[1] + 0.3, 0.7 * tint[2] + 0.3


# The subject is a little lighter than its surroundings, so that it can be recognised.
FRONT = {name: replace(light, tint=_lighter(light.tint)) for name, light in LIGHTS.items()}
GLOWING = (FRONT["night"], FRONT["storm"], FRONT["fog"])  # lamps are on
DARK = ("night", "storm", "fog", "sunset")
LAMPLIT = Light((0.8, 0.8, 0.9), (0, 0, 0), 0.0, 0.0, (), 0.0)


class Pen:
    """Draws in the local coordinates of one object: origin on the ground, y upwards, colours lit by `light`.

    Attributes:
        x, y, scale, flip: the origin on the canvas, canvas pixels per unit, -1 to mirror.
        depth: 0 for near to 1 for far; the share of haze grows with it.
    """

    def __init__(
        self,
        canvas: Image.Image,
        light: Light,
        rng: np.random.Generator,
        x: float = 0.0,
        y: float = 0.0,
        scale: float = 1.0,
        flip: int = 1,
        depth: float = 0.0,
    ) -> None:
        self.canvas, self.light, self.rng = canvas, light, rng
        self.draw = ImageDraw.Draw(canvas, "RGBA")
        self.x, self.y, self.scale, self.flip, self.depth = x, y, scale, flip, depth

    def at(self, x: float, y: float, scale: float = 1.0, flip: int = 1, depth: float | None = None) -> "Pen":
        """A pen for another object, positioned in canvas pixels."""
        return Pen(self.canvas, self.light, self.rng, x, y, scale, flip, self.depth if depth is None else depth)

    def lit(self, colour: Colour, alpha: int = 255, *, shines: bool = False) -> tuple[int, int, int, int]:
        """The colour under the light; a shape that shines keeps its own colour."""
        if shines:
            return (*colour, alpha)
        share = self.light.near + (self.light.far - self.light.near) * self.depth
        mixed = [
            int(value * tint * (1 - share) + haze * share)
            for value, tint, haze in zip(colour, self.light.tint, self.light.haze, strict=True)
        ]
        return mixed[0], mixed[1], mixed[2], alpha

    def place(self, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(self.x + self.flip * self.scale * px, self.y - self.scale * py) for px, py in points]

    def shape(
        self, points: Sequence[tuple[float, float]], colour: Colour, alpha: int = 255, *, shines: bool = False
    ) -> None:
        self.draw.polygon(self.place(points), fill=self.lit(colour, alpha, shines=shines))

    def blob(self, points: Sequence[tuple[float, float]], colour: Colour, alpha: int = 255) -> None:
        """A smooth closed curve through the points (Catmull-Rom)."""
        p1 = np.array(points, dtype=float)
        p0, p2, p3 = np.roll(p1, 1, 0), np.roll(p1, -1, 0), np.roll(p1, -2, 0)
        t = np.linspace(0, 1, 8, endpoint=False)[None, :, None]
        p0, p1, p2, p3 = p0[:, None], p1[:, None], p2[:, None], p3[:, None]
        curve = 0.5 * (
            2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3
        )
        self.shape([(px, py) for px, py in curve.reshape(-1, 2).tolist()], colour, alpha)

    def oval(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        colour: Colour,
        alpha: int = 255,
        *,
        turn: float = 0.0,
        shines: bool = False,
    ) -> None:
        """An ellipse around (x, y), turned by `turn` degrees."""
        if turn:
            c, s = cos(radians(turn)), sin(radians(turn))
            ring = [(rx * cos(k / 4.5), ry * sin(k / 4.5)) for k in range(28)]
            self.shape([(x + c * a - s * b, y + s * a + c * b) for a, b in ring], colour, alpha, shines=shines)
            return
        (left, bottom), (right, top) = self.place([(x - rx, y - ry), (x + rx, y + ry)])
        if left > right:
            left, right = right, left
        self.draw.ellipse((left, top, right, bottom), fill=self.lit(colour, alpha, shines=shines))

    def box(
        self,
        x0: float,
        y0: float,
        x1: float,
        y1: float,
        colour: Colour,
        alpha: int = 255,
        *,
        round_by: float = 0.0,
        shines: bool = False,
    ) -> None:
        (left, bottom), (right, top) = self.place([(x0, y0), (x1, y1)])
        if left > right:
            left, right = right, left
        fill = self.lit(colour, alpha, shines=shines)
        if round_by:
            self.draw.rounded_rectangle((left, top, right, bottom), self.scale * round_by, fill=fill)
        else:
            self.draw.rectangle((left, top, right, bottom), fill=fill)

    def stroke(
        self,
        points: Sequence[tuple[float, float]],
        width: float,
        colour: Colour,
        alpha: int = 255,
        *,
        shines: bool = False,
    ) -> None:
        """A line with round ends."""
        placed, fill = self.place(points), self.lit(colour, alpha, shines=shines)
        thickness = max(1, round(width * self.scale))
        self.draw.line(placed, fill=fill, width=thickness, joint="curve")
        if thickness > 3 and alpha == 255:
            r = thickness / 2 - 0.5
            for px, py in (placed[0], placed[-1]):
                self.draw.ellipse((px - r, py - r, px + r, py + r), fill=fill)

    def shadow(self, rx: float, ry: float = 6.0) -> None:
        self.oval(0, 1, rx, ry, (30, 34, 40), 70)


def varied(rng: np.random.Generator, colour: Colour, by: int = 12) -> Colour:
    """The colour with a little random variation."""
    r, g, b = (int(np.clip(value + d, 0, 255)) for value, d in zip(colour, rng.integers(-by, by + 1, 3), strict=True))
    return r, g, b


def ring_bounds(pen: Pen, x: float, y: float, r: float) -> tuple[float, float, float, float]:
    """The bounding box on the canvas of a circle around (x, y)."""
    (cx, cy) = pen.place([(x, y)])[0]
    r *= pen.scale
    return cx - r, cy - r, cx + r, cy + r
