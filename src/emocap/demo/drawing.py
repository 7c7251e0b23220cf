"""Images of synthetic scenes, 192x144 pixels: sky, setting, subject, event, then light, weather and colour grading.

Everything is drawn with Pillow at twice the size in colours that are already lit, and downscaled; NumPy operations on
the result add glow, grading, vignette and grain.
"""

from math import cos, sin

import numpy as np
from PIL import Image, ImageDraw

from emocap.demo.objects import FLOATING
from emocap.demo.pen import FRONT, HEIGHT, HORIZON, LAMPLIT, LIGHTS, WIDTH, Colour, H, Light, Pen, W, varied
from emocap.demo.places import SETTINGS
from emocap.demo.subjects import SUBJECTS

# Factors on red, green and blue, an offset, and saturation.
GRADES = {
    "natural": ((1.0, 1.0, 1.0), (0, 0, 0), 1.0),
    "warm": ((1.10, 1.0, 0.80), (12, 3, -6), 1.05),
    "cold": ((0.80, 0.95, 1.12), (-4, 2, 12), 0.75),
    "faded": ((0.86, 0.80, 0.68), (38, 30, 18), 0.35),
    "vivid": ((1.08, 1.06, 1.08), (-12, -12, -12), 1.65),
}
_ROWS, _COLUMNS = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
_CORNERS = ((_COLUMNS / WIDTH - 0.5) ** 2 + (_ROWS / HEIGHT - 0.5) ** 2) * 2.0


def draw_scene(rng: np.random.Generator, visible: tuple[str, str, str, str, str]) -> Image.Image:
    """An RGB image of 192x144 pixels.

    Args:
        rng: varies all positions, sizes and colours a little.
        visible: subject, setting, light, grade, event.
    """
    subject, setting, light_name, grade, event = visible
    light = LIGHTS[light_name]
    canvas = _sky(light)
    pen = Pen(canvas, light, rng)
    sun_x, sun_y = float(rng.uniform(60, W - 60)), float(rng.uniform(34, 70))
    if light_name == "sunset":
        sun_y = HORIZON - float(rng.uniform(12, 34))
    _heaven(pen, light_name, sun_x, sun_y)
    if event == "rainbow":
        _rainbow(pen)
    SETTINGS[setting](pen, light_name)
    if event == "ufo":
        _ufo(pen)
    x, y = float(rng.uniform(W * 0.36, W * 0.64)), float(rng.uniform(244, 258))
    fire = event == "fire"
    if fire:
        _flames(pen.at(x - 92, y - 8, 0.9), behind=True)
        _flames(pen.at(x + 92, y - 8, 0.9), behind=True)
    scale = float(rng.uniform(1.0, 1.18))
    flip = 1 if rng.random() < 0.5 else -1
    thing = pen.at(x, y - (FLOATING.get(subject, 0) * scale), scale, flip)
    thing.light = FRONT[light_name]
    SUBJECTS[subject](thing)
    if event in _NEAR:
        _NEAR[event](pen, x, y)
    small = canvas.reduce(2)
    if light_name == "storm" and setting != "room":
        _rain(rng, small)
    return _finish(rng, small, light_name, grade, (sun_x / 2, sun_y / 2), (x / 2, y / 2 - 20) if fire else None)


def _sky(light: Light) -> Image.Image:
    stops = np.linspace(0, HORIZON, len(light.sky))
    rows = np.arange(H)
    column = np.stack([np.interp(rows, stops, [c[i] for c in light.sky]) for i in range(3)], axis=1)
    return Image.fromarray(column.astype(np.uint8)[:, None]).resize((W, H))


def _heaven(pen: Pen, light: str, x: float, y: float) -> None:
    rng = pen.rng
    if light == "night":
        for sx, sy, size in zip(rng.uniform(0, W, 60), rng.uniform(0, 160, 60), rng.uniform(0.6, 1.7, 60), strict=True):
            pen.at(sx, sy).oval(0, 0, size, size, (255, 250, 225), 230, shines=True)
        for r, alpha in ((44, 22), (32, 34)):
            pen.at(x, y).oval(0, 0, r, r, (220, 226, 255), alpha, shines=True)
        pen.at(x, y).oval(0, 0, 20, 20, (250, 244, 214), shines=True)
        for dx, dy, r in ((-6, 5, 4), (6, -3, 5), (-2, -9, 3)):
            pen.at(x, y).oval(dx, dy, r, r, (226, 218, 186), shines=True)
    elif light == "storm":
        for _ in range(16):
            _cloud(pen, rng.uniform(-20, W + 20), rng.uniform(-6, 80), rng.uniform(1.0, 1.9), (52, 56, 68), 150)
        bolt_x, bolt_y = float(rng.uniform(50, W - 50)), 66.0
        bolt = [(bolt_x, bolt_y)]
        while bolt_y < 168:
            bolt_x, bolt_y = bolt_x + float(rng.uniform(-17, 17)), bolt_y + float(rng.uniform(12, 24))
            bolt.append((bolt_x, bolt_y))
        for width, alpha in ((13, 26), (7, 60), (3, 255)):
            pen.draw.line(bolt, fill=(250, 246, 214, alpha), width=width, joint="curve")
    elif light == "sunset":
        for r, alpha in ((64, 40), (46, 60)):
            pen.at(x, y).oval(0, 0, r, r, (255, 224, 140), alpha, shines=True)
        pen.at(x, y).oval(0, 0, 31, 31, (255, 240, 190), shines=True)
        for _ in range(6):
            cx, cy, length = rng.uniform(0, W), rng.uniform(20, 120), rng.uniform(30, 80)
            pen.at(cx, cy).oval(0, 0, length, rng.uniform(2, 5), (255, 158, 128), 150, shines=True)
    elif light == "day":
        for r, alpha in ((46, 40), (34, 70)):
            pen.at(x, y).oval(0, 0, r, r, (255, 246, 190), alpha, shines=True)
        pen.at(x, y).oval(0, 0, 23, 23, (255, 240, 150), shines=True)
        for _ in range(4):
            _cloud(pen, rng.uniform(0, W), rng.uniform(24, 104), rng.uniform(0.7, 1.2), (255, 255, 255), 225)


def _cloud(pen: Pen, x: float, y: float, scale: float, colour: Colour, alpha: int) -> None:
    cloud = pen.at(x, y, scale)
    for cx, cy, r in ((-26, 0, 12), (-10, 8, 17), (10, 6, 15), (26, 0, 11)):
        cloud.oval(cx, cy, r, r, colour, alpha, shines=True)
    cloud.box(-27, -11, 27, 2, colour, alpha, round_by=6, shines=True)


def _rainbow(pen: Pen) -> None:
    x, y = float(pen.rng.uniform(120, W - 120)), HORIZON + 20
    colours = ((232, 70, 72), (248, 150, 60), (252, 222, 84), (92, 190, 104), (72, 140, 226), (134, 90, 200))
    for k, colour in enumerate(colours):
        r = 158 - 7 * k
        pen.draw.arc((x - r, y - r, x + r, y + r), 180, 360, fill=(*colour, 215), width=8)


def _ufo(pen: Pen) -> None:
    ship = pen.at(float(pen.rng.choice([88, W - 88])), float(pen.rng.uniform(64, 84)), 1.15)
    ship.shape([(-16, -8), (16, -8), (40, -118), (-40, -118)], (190, 255, 170), 90, shines=True)
    ship.oval(0, 8, 19, 18, (176, 236, 240), 240, shines=True)
    ship.oval(-5, 14, 6, 5, (240, 255, 255), 220, shines=True)
    ship.oval(0, 0, 47, 13, (126, 134, 152), shines=True)
    ship.oval(0, 4, 42, 8, (172, 180, 198), shines=True)
    for k in range(-2, 3):
        ship.oval(17 * k, -4 + abs(k), 4, 4, (255, 226, 92) if k % 2 else (255, 104, 120), shines=True)


def _flames(pen: Pen, *, behind: bool) -> None:
    rng = pen.rng
    for k, (colour, size) in enumerate((((226, 66, 30), 1.0), ((250, 140, 36), 0.7), ((255, 226, 110), 0.4))):
        for dx in (-26, 0, 26):
            h = float(rng.uniform(84, 122)) * size * (1.15 if dx == 0 else 0.8)
            w, lean = 25 * size, float(rng.uniform(-9, 9))
            points = [(dx - w, 6), (dx - w * 0.7, h * 0.45), (dx + lean, h), (dx + w * 0.7, h * 0.4), (dx + w, 6)]
            pen.draw.polygon(pen.place(points), fill=(*colour, 240))
            pen.draw.ellipse((*pen.place([(dx - w, 16)])[0], *pen.place([(dx + w, -4)])[0]), fill=(*colour, 240))
        if behind and k == 0:
            for dy in (110, 138, 164):
                pen.oval(float(rng.uniform(-14, 14)), dy, 20 + dy / 12, 16, (56, 52, 54), 90, shines=True)


def _balloons(pen: Pen, x: float, y: float) -> None:
    colours = ((232, 64, 80), (252, 196, 58), (70, 156, 230), (108, 194, 98), (192, 104, 206), (255, 138, 70))
    for k, side in enumerate((-1, -1, -1, 1, 1, 1)):
        bx = float(x + side * (84 + 26 * (k % 3) + pen.rng.uniform(-6, 6)))
        by = float(y - 118 - 22 * ((k + 1) % 3) + pen.rng.uniform(-12, 12))
        knot = (x + side * 98, y - 18)
        pen.draw.line([(bx, by + 24), ((bx + knot[0]) / 2 + 5, (by + knot[1]) / 2), knot], fill=(240, 240, 240, 190))
        balloon = pen.at(bx, by)
        balloon.light = LAMPLIT if pen.light is LIGHTS["night"] else LIGHTS["day"]
        balloon.shape([(-4, -28), (4, -28), (0, -20)], colours[k])
        balloon.oval(0, 0, 19, 24, colours[k])
        balloon.oval(-6, 9, 5, 7, (255, 255, 255), 120)


def _cake(pen: Pen, x: float, y: float) -> None:
    cake = pen.at(x + float(pen.rng.choice([-88, 88])), y + 8, 1.0)
    cake.shadow(46)
    cake.box(-40, 0, 40, 5, (236, 238, 244), round_by=3)
    cake.box(-34, 4, 34, 32, (250, 170, 186), round_by=4)
    cake.box(-24, 30, 24, 52, (255, 240, 222), round_by=4)
    for k in range(-3, 4):
        cake.oval(10 * k, 32, 6, 6, (255, 250, 244))
    for k in range(-2, 3):
        cake.oval(10 * k, 51, 5, 5, (214, 62, 90))
        cake.box(10 * k - 1.5, 54, 10 * k + 1.5, 68, (96, 170, 226))
        cake.oval(10 * k, 73, 8, 9, (255, 214, 110), 70, shines=True)
        cake.oval(10 * k, 72, 2.6, 5, (255, 226, 110), shines=True)


def _flood(pen: Pen, x: float, y: float) -> None:
    level = y - float(pen.rng.uniform(26, 34))
    top = [(float(px), float(level + 3 * sin(px / 17))) for px in range(0, W + 9, 8)]
    pen.draw.polygon([*top, (W, H), (0, H)], fill=pen.lit((86, 126, 138), 212))
    for _ in range(22):
        wx, wy, length = pen.rng.uniform(0, W), pen.rng.uniform(level + 8, H), pen.rng.uniform(10, 34)
        pen.at(wx, wy).stroke([(-length, 0), (0, 2), (length, 0)], 2, (206, 226, 230), 120)


def _wreckage(pen: Pen, x: float, y: float) -> None:
    for k in range(17):
        side = -1 if k % 2 else 1
        bit = pen.at(x + side * float(pen.rng.uniform(40, 140)), y + float(pen.rng.uniform(-12, 24)))
        angle, length = float(pen.rng.uniform(0, 3.1)), float(pen.rng.uniform(14, 36))
        dx, dy = length * cos(angle), abs(length * sin(angle))
        if k % 3:
            bit.stroke([(-dx / 2, 0), (dx / 2, dy)], 6, varied(pen.rng, (104, 72, 50)))
            bit.stroke([(-dx / 2, 2), (dx / 2, dy + 2)], 2, (158, 116, 82))
        else:
            bit.shape([(-9, 0), (-3, 16), (10, 5)], varied(pen.rng, (196, 214, 220)), 220)


_NEAR = {"balloons": _balloons, "cake": _cake, "flood": _flood, "wreckage": _wreckage}


def _rain(rng: np.random.Generator, small: Image.Image) -> None:
    pen = ImageDraw.Draw(small, "RGBA")
    for x, y, length in zip(
        rng.uniform(0, WIDTH + 20, 130), rng.uniform(-10, HEIGHT, 130), rng.uniform(5, 12, 130), strict=True
    ):
        pen.line((x, y, x - length * 0.35, y + length), fill=(206, 216, 230, 105))


def _finish(
    rng: np.random.Generator,
    small: Image.Image,
    light: str,
    grade: str,
    sun: tuple[float, float],
    fire: tuple[float, float] | None,
) -> Image.Image:
    pixels = np.asarray(small, dtype=np.float32)
    glows = []
    if light in ("sunset", "day", "night"):
        glows.append((sun, {"sunset": (95, 50, 10), "day": (26, 24, 10), "night": (16, 18, 32)}[light], 2600.0))
    if fire:
        glows.append((fire, (95, 38, 0), 3800.0))
    for (gx, gy), colour, spread in glows:
        glow = np.exp(-((_COLUMNS - gx) ** 2 + (_ROWS - gy) ** 2) / np.float32(spread))
        pixels = pixels + glow[..., None] * np.array(colour, dtype=np.float32)
    factors, offset, saturation = GRADES[grade]
    grey = pixels.mean(axis=2, keepdims=True)
    pixels = grey + (pixels - grey) * np.float32(saturation)
    pixels = pixels * np.array(factors, dtype=np.float32) + np.array(offset, dtype=np.float32)
    shade = 1.0 - np.float32(LIGHTS[light].vignette) * _CORNERS
    grain = rng.standard_normal((HEIGHT, WIDTH), dtype=np.float32) * np.float32(2.2)
    pixels = pixels * shade[..., None] + grain[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
