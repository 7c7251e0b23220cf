"""The ground of synthetic scenes: wavy ridges in the distance and the floor in front."""

from math import sin

from emocap.demo.pen import Colour, H, Pen, W


def ridge(pen: Pen, base: float, rise: float, step: float, colour: Colour, depth: float) -> None:
    """Fill everything below a wavy line."""
    phase, second = pen.rng.uniform(0, 6.3), pen.rng.uniform(0, 6.3)
    line = [
        (float(x), float(base - rise * (0.6 * sin(x / step + phase) + 0.4 * sin(x / step * 2.3 + second))))
        for x in range(0, W + 12, 12)
    ]
    pen.at(0, 0, depth=depth).shape([*((x, -y) for x, y in line), (W + 12, -H), (0, -H)], colour)


def ground(pen: Pen, top: float, colour: Colour, depth: float = 0.1) -> None:
    """A floor in three bands from far to near."""
    for k in range(3):
        y = top + (H - top) * (0, 0.28, 0.62)[k]
        shade = 1.0 + 0.06 * k
        r, g, b = (min(255, int(value * shade)) for value in colour)
        wave = [(float(x), -(y + (3 * sin(x / 40 + 2 * k) if k else 0))) for x in range(0, W + 16, 16)]
        pen.at(0, 0, depth=depth * (1 - k / 2)).shape([*wave, (W + 16, -H), (0, -H)], (r, g, b))
