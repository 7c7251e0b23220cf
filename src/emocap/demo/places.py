"""The ten places of made-up scenes, each a function that paints everything between the sky and the subject."""

from collections.abc import Callable
from math import sin

from emocap.demo.pen import HORIZON, Colour, H, Pen, W, varied

DARK = ("night", "storm", "fog", "sunset")
GLOW: Colour = (255, 214, 120)


def _ridge(pen: Pen, base: float, rise: float, step: float, colour: Colour, depth: float) -> list[tuple[float, float]]:
    """Fill everything below a wavy line; give the line back."""
    phase, second = pen.rng.uniform(0, 6.3), pen.rng.uniform(0, 6.3)
    line = [
        (float(x), float(base - rise * (0.6 * sin(x / step + phase) + 0.4 * sin(x / step * 2.3 + second))))
        for x in range(0, W + 12, 12)
    ]
    pen.at(0, 0, depth=depth).shape([*((x, -y) for x, y in line), (W + 12, -H), (0, -H)], colour)
    return line


def _ground(pen: Pen, top: float, colour: Colour, depth: float = 0.1) -> None:
    """A floor in three bands that get nearer."""
    for k in range(3):
        y = top + (H - top) * (0, 0.28, 0.62)[k]
        shade = 1.0 + 0.06 * k
        r, g, b = (min(255, int(value * shade)) for value in colour)
        wave = [(float(x), -(y + (3 * sin(x / 40 + 2 * k) if k else 0))) for x in range(0, W + 16, 16)]
        pen.at(0, 0, depth=depth * (1 - k / 2)).shape([*wave, (W + 16, -H), (0, -H)], (r, g, b))


def _fir(pen: Pen, x: float, y: float, size: float, colour: Colour, depth: float, *, snowy: bool = False) -> None:
    fir = pen.at(x, y, size, depth=depth)
    fir.box(-4, -2, 4, 14, (92, 66, 48))
    for k, (low, half, high) in enumerate(((8, 30, 48), (30, 24, 66), (52, 17, 86))):
        fir.shape([(-half, low), (half, low), (0, high)], varied(pen.rng, colour, 5))
        if snowy:
            fir.shape([(-half * 0.45, high - (high - low) * 0.45), (half * 0.4, high - (high - low) * 0.4), (0, high)],
                      (244, 248, 255))  # fmt: skip
        elif k:
            fir.shape([(0, low), (half, low), (0, high)], (24, 60, 40), 60)


def _tuft(pen: Pen, x: float, y: float, colour: Colour) -> None:
    tuft = pen.at(x, y)
    for lean in (-4, 0, 4):
        tuft.stroke([(0, 0), (lean, 9)], 2, colour)


def _beach(pen: Pen, light: str) -> None:
    sea = pen.at(0, 0, depth=0.7)
    sea.shape([(0, -HORIZON), (W, -HORIZON), (W, -H), (0, -H)], (58, 150, 190))
    sea.depth = 0.25
    sea.shape([(0, -188), (W, -188), (W, -H), (0, -H)], (64, 172, 198))
    for _ in range(16):
        wave = pen.at(pen.rng.uniform(0, W), pen.rng.uniform(HORIZON + 4, 206), depth=0.2)
        wave.stroke([(-14, 0), (0, 2), (14, 0)], 2, (224, 244, 248), 150)
    boat = pen.at(pen.rng.uniform(30, W - 30), HORIZON + 4, 0.8, depth=0.5)
    boat.shape([(-12, 4), (12, 4), (8, -2), (-8, -2)], (120, 70, 60))
    boat.shape([(0, 6), (0, 34), (14, 8)], (250, 250, 246))
    phase = float(pen.rng.uniform(0, 6))
    shore = [(float(x), 206 + 8 * sin(x / 60 + phase)) for x in range(0, W + 12, 12)]
    for shift, colour in ((0, (246, 250, 246)), (6, (214, 184, 130)), (18, (240, 212, 156))):
        pen.at(0, 0).shape([*((x, -(y + shift)) for x, y in shore), (W + 12, -H), (0, -H)], colour)
    for _ in range(30):
        pen.at(pen.rng.uniform(0, W), pen.rng.uniform(234, H)).oval(0, 0, 1.6, 1, (204, 172, 118))
    side = int(pen.rng.choice([-1, 1]))
    palm = pen.at(W / 2 + side * 158, 246, 1.1, -side)
    palm.stroke([(0, 0), (8, 44), (22, 90), (30, 116)], 8, (140, 100, 66))
    for dx, dy in ((-46, -8), (-34, 16), (-4, 34), (34, 30), (50, 4), (38, -24), (-22, -28)):
        palm.blob([(30, 116), (30 + dx * 0.5, 126 + dy * 0.75), (30 + dx, 112 + dy), (30 + dx * 0.55, 114 + dy * 0.5)],
                  varied(pen.rng, (62, 146, 82)))  # fmt: skip


def _forest(pen: Pen, light: str) -> None:
    for row, (depth, base, size, n) in enumerate(((0.9, 190, 1.1, 13), (0.55, 204, 1.4, 10), (0.25, 220, 1.7, 7))):
        _ridge(pen, base - 8, 5, 60, (58, 110, 70), depth)
        for k in range(n):
            x = (k + 0.5) * W / n + float(pen.rng.uniform(-12, 12))
            if row == 2 and 90 < x < W - 90:
                continue
            _fir(pen, x, base + 4, size * float(pen.rng.uniform(0.85, 1.2)), (46, 116, 74), depth)
    _ground(pen, 216, (92, 128, 64))
    for _ in range(20):
        _tuft(pen, float(pen.rng.uniform(0, W)), float(pen.rng.uniform(224, H)), (62, 104, 52))
    for _ in range(4):
        mushroom = pen.at(float(pen.rng.uniform(10, W - 10)), float(pen.rng.uniform(236, 280)), 0.9)
        mushroom.box(-3, 0, 3, 9, (246, 236, 216))
        mushroom.oval(0, 10, 9, 6, (206, 62, 54))
        mushroom.oval(-3, 12, 2, 1.6, (255, 244, 236))


def _city(pen: Pen, light: str) -> None:
    walls = ((186, 146, 130), (150, 168, 190), (208, 186, 150), (164, 132, 150), (128, 150, 160))
    for depth, low, high in ((0.8, 70, 132), (0.3, 44, 96)):
        x = -10.0
        while x < W:
            width, height = float(pen.rng.uniform(36, 62)), float(pen.rng.uniform(low, high))
            house = pen.at(x, 216, depth=depth)
            wall = varied(pen.rng, walls[int(pen.rng.integers(len(walls)))])
            house.box(0, 0, width, height, wall)
            house.box(width - 7, 0, width, height, (60, 60, 80), 50)
            if depth < 0.5:
                house.box(-2, height, width + 2, height + 4, (96, 84, 84))
                for wy in range(14, int(height) - 10, 18):
                    for wx in range(7, int(width) - 10, 14):
                        is_lit = light in DARK and pen.rng.random() < (0.6 if light == "night" else 0.35)
                        house.box(wx, wy, wx + 7, wy + 10, GLOW if is_lit else (88, 116, 142), shines=is_lit)
            x += width + float(pen.rng.uniform(0, 5))
    pen.at(0, 0).box(0, -232, W, -214, (176, 172, 168))
    pen.at(0, 0).box(0, -H, W, -230, (112, 114, 122))
    for x in range(-10, W, 64):
        pen.at(x, 270).shape([(0, 0), (34, 0), (30, 5), (-4, 5)], (236, 232, 214))
    side = int(pen.rng.choice([-1, 1]))
    lamp = pen.at(W / 2 + side * 150, 232, 1.0)
    lamp.box(-2.5, 0, 2.5, 92, (62, 64, 72))
    if light in DARK:
        lamp.oval(0, 98, 26, 26, GLOW, 60, shines=True)
    lamp.oval(0, 98, 10, 11, GLOW if light in DARK else (240, 240, 226), shines=light in DARK)


def _room(pen: Pen, light: str) -> None:
    papers: tuple[Colour, ...] = ((222, 190, 158), (176, 202, 190), (214, 178, 184), (188, 194, 216))
    paper = varied(pen.rng, papers[int(pen.rng.integers(len(papers)))])
    x0 = float(pen.rng.uniform(50, 190))
    x1, y0, y1 = x0 + 122, 34.0, 136.0
    wall = pen.at(0, 0, depth=0.0)
    for left, top, right, bottom in ((0, 0, x0, 208), (x1, 0, W, 208), (x0, 0, x1, y0), (x0, y1, x1, 208)):
        wall.box(left, -bottom, right, -top, paper)
    r, g, b = (max(0, value - 14) for value in paper)
    for x in range(8, W, 22):
        for top, bottom in ((0, 208),) if not x0 - 8 < x < x1 + 2 else ((0, y0 - 4), (y1 + 4, 208)):
            wall.box(x, -bottom, x + 6, -top, (r, g, b))
    frame = (250, 246, 238)
    for left, top, right, bottom in (
        (x0 - 6, y0 - 6, x1 + 6, y0), (x0 - 10, y1, x1 + 10, y1 + 9), (x0 - 6, y0, x0, y1), (x1, y0, x1 + 6, y1),
        (x0 + 58, y0, x0 + 64, y1), (x0, 82, x1, 87),
    ):  # fmt: skip
        wall.box(left, -bottom, right, -top, frame)
    curtain = varied(pen.rng, (196, 92, 88), 30)
    for edge, inward in ((x0 - 12, 1), (x1 + 12, -1)):
        wall.shape([(edge - 6 * inward, -24), (edge + 34 * inward, -24), (edge + 14 * inward, -96),
                    (edge + 22 * inward, -160), (edge - 8 * inward, -160)], curtain)  # fmt: skip
    wall.box(0, -214, W, -206, (244, 238, 228))
    wall.box(0, -H, W, -214, (174, 124, 84))
    for k, y in enumerate((230, 250, 272)):
        wall.stroke([(0, -y), (W, -y)], 2, (142, 98, 66))
        for x in range(30 * (k % 2), W, 90):
            wall.stroke([(x, -y), (x - 4, -(y + 20))], 1, (142, 98, 66))
    pen.at(W / 2, 256).oval(0, 0, 136, 22, varied(pen.rng, (92, 118, 156), 20))
    pen.at(W / 2, 256).oval(0, 0, 118, 16, (226, 214, 190))
    lamp_x = x1 + 58 if x1 + 58 < W - 24 else x0 - 44
    lamp = pen.at(lamp_x, 232)
    lamp.box(-2, 0, 2, 100, (84, 66, 52))
    lamp.oval(0, 2, 17, 5, (84, 66, 52))
    shining = light in DARK
    if shining:
        for r_glow, alpha in ((78, 22), (50, 34)):
            lamp.oval(0, 106, r_glow, r_glow, (255, 206, 116), alpha, shines=True)
    lamp.shape([(-25, 92), (25, 92), (14, 128), (-14, 128)], (255, 222, 150) if shining else (232, 206, 160),
               shines=shining)  # fmt: skip


def _mountains(pen: Pen, light: str) -> None:
    for depth, high, colour, n in ((0.85, 124, (112, 130, 168), 3), (0.45, 96, (96, 112, 142), 4)):
        for k in range(n):
            x = (k + 0.5) * W / n + float(pen.rng.uniform(-26, 26))
            h, half = high * float(pen.rng.uniform(0.8, 1.12)), high * float(pen.rng.uniform(0.9, 1.15))
            peak = pen.at(x, 214, depth=depth)
            peak.shape([(-half, 0), (half, 0), (0, h)], colour)
            peak.shape([(0, h), (half, 0), (half * 0.15, 0), (-4, h * 0.5)], (46, 54, 84), 64)
            peak.shape([(0, h), (half * 0.3, h * 0.7), (half * 0.13, h * 0.75), (0, h * 0.64), (-half * 0.14, h * 0.76),
                        (-half * 0.3, h * 0.7)], (248, 250, 255))  # fmt: skip
    _ridge(pen, 204, 7, 70, (70, 124, 88), 0.3)
    for k in range(9):
        x = k * W / 8 + float(pen.rng.uniform(-14, 14))
        _fir(pen, x, 216, float(pen.rng.uniform(0.35, 0.55)), (44, 102, 74), 0.25)
    _ground(pen, 214, (116, 164, 84))
    for _ in range(5):
        stone = pen.at(pen.rng.uniform(0, W), pen.rng.uniform(228, 280))
        stone.blob([(-12, 0), (-8, 8), (2, 11), (12, 5), (13, 0)], varied(pen.rng, (146, 148, 152)))


def _meadow(pen: Pen, light: str) -> None:
    _ridge(pen, 178, 13, 90, (120, 178, 108), 0.8)
    _ridge(pen, 192, 10, 70, (120, 186, 92), 0.45)
    for _ in range(4):
        tree = pen.at(pen.rng.uniform(0, W), pen.rng.uniform(188, 200), 0.5, depth=0.45)
        tree.box(-4, 0, 4, 26, (112, 80, 56))
        for dx, dy, r in ((-14, 36, 18), (12, 36, 18), (0, 52, 20)):
            tree.oval(dx, dy, r, r, (74, 146, 74))
    _ground(pen, 204, (126, 192, 84))
    petals: tuple[Colour, ...] = ((250, 250, 246), (250, 214, 72), (236, 96, 108), (170, 120, 214))
    for _ in range(60):
        x, y = float(pen.rng.uniform(0, W)), float(pen.rng.uniform(212, H))
        size = 1.2 + (y - 204) / 32
        pen.at(x, y).oval(0, 0, size, size, petals[int(pen.rng.integers(4))])
    for _ in range(14):
        _tuft(pen, float(pen.rng.uniform(0, W)), float(pen.rng.uniform(226, H)), (84, 150, 62))


def _desert(pen: Pen, light: str) -> None:
    mesa = pen.at(pen.rng.uniform(50, W - 50), 196, depth=0.8)
    mesa.shape([(-70, 0), (-54, 46), (-50, 66), (40, 66), (46, 44), (72, 0)], (196, 116, 84))
    mesa.shape([(-54, 46), (-50, 54), (43, 54), (46, 46)], (168, 94, 70))
    _ridge(pen, 192, 11, 80, (232, 178, 112), 0.5)
    _ridge(pen, 206, 10, 62, (238, 190, 120), 0.25)
    _ground(pen, 222, (242, 202, 136), 0.05)
    for side in (-1, 1):
        cactus = pen.at(W / 2 + side * float(pen.rng.uniform(104, 160)), 240, float(pen.rng.uniform(0.7, 1.0)), side)
        cactus.shadow(24, 4)
        cactus.stroke([(0, 3), (0, 78)], 16, (78, 146, 88))
        cactus.stroke([(0, 30), (22, 32), (23, 56)], 10, (78, 146, 88))
        cactus.stroke([(0, 42), (-20, 44), (-21, 62)], 9, (78, 146, 88))
        cactus.stroke([(-3, 4), (-3, 76)], 2, (128, 188, 122))
    for _ in range(9):
        ripple = pen.at(pen.rng.uniform(0, W), pen.rng.uniform(236, H))
        ripple.stroke([(-22, 0), (0, 3), (22, 0)], 2, (216, 168, 104))


def _snow(pen: Pen, light: str) -> None:
    _ridge(pen, 184, 14, 80, (206, 222, 240), 0.8)
    for k in range(10):
        x, size = k * W / 9 + float(pen.rng.uniform(-14, 14)), float(pen.rng.uniform(0.4, 0.7))
        _fir(pen, x, 200, size, (58, 108, 98), 0.5, snowy=True)
    _ridge(pen, 202, 8, 70, (228, 238, 250), 0.35)
    side = int(pen.rng.choice([-1, 1]))
    hut = pen.at(W / 2 + side * 128, 216, 1.0, depth=0.1)
    hut.box(-28, 0, 28, 32, (142, 92, 62))
    hut.box(12, 38, 20, 60, (126, 84, 74))
    hut.shape([(-36, 28), (36, 28), (0, 58)], (246, 250, 255))
    hut.box(-16, 10, -2, 24, GLOW if light in DARK else (150, 186, 206), shines=light in DARK)
    hut.box(7, 0, 19, 22, (92, 58, 42))
    _ground(pen, 212, (232, 240, 250), 0.1)
    for x in (18, W - 18):
        _fir(pen, x, 250, 1.2, (52, 102, 92), 0.05, snowy=True)
    for _ in range(50):
        pen.at(pen.rng.uniform(0, W), pen.rng.uniform(0, H)).oval(0, 0, 1.7, 1.7, (255, 255, 255), 190)


def _harbour(pen: Pen, light: str) -> None:
    walls: tuple[Colour, ...] = ((214, 92, 78), (240, 196, 96), (96, 156, 176), (238, 226, 206), (150, 186, 130))
    for k in range(8):
        x, height = k * 50 - 8, float(pen.rng.uniform(48, 68))
        house = pen.at(x, 186, depth=0.45)
        house.box(0, 0, 46, height, walls[int(pen.rng.integers(5))])
        house.shape([(-2, height), (48, height), (23, height + 24)], (138, 74, 62))
        for wx in (8, 28):
            for wy in (10, 30):
                is_lit = light in DARK and pen.rng.random() < 0.6
                house.box(wx, wy, wx + 9, wy + 12, GLOW if is_lit else (240, 244, 246), shines=is_lit)
    water = pen.at(0, 0, depth=0.2)
    water.box(0, -H, W, -186, (62, 118, 150))
    for _ in range(20):
        wave = pen.at(pen.rng.uniform(0, W), pen.rng.uniform(190, 224), depth=0.15)
        wave.stroke([(-15, 0), (0, 1.6), (15, 0)], 2, (182, 212, 224), 140)
    for side in (-1, 1):
        ship = pen.at(W / 2 + side * float(pen.rng.uniform(110, 150)), 212, 0.9, side, depth=0.15)
        ship.blob([(-34, 14), (34, 16), (24, -3), (-24, -3)], varied(pen.rng, (92, 104, 150), 30))
        ship.box(-2, 12, 2, 100, (112, 84, 62))
        ship.shape([(4, 22), (4, 94), (36, 26)], (246, 240, 226))
        ship.shape([(-4, 24), (-4, 78), (-22, 26)], (232, 222, 204))
    quay = pen.at(0, 0)
    quay.box(0, -H, W, -228, (154, 122, 92))
    quay.box(0, -236, W, -228, (112, 86, 64))
    for y in (250, 266, 282):
        quay.stroke([(0, -y), (W, -y)], 2, (122, 94, 70))
    for x in (36, W - 36):
        post = pen.at(x, 250)
        post.box(-7, 0, 7, 32, (86, 72, 64), round_by=3)
        post.oval(0, 32, 9, 4, (112, 96, 84))


def _ruins(pen: Pen, light: str) -> None:
    _ridge(pen, 188, 8, 80, (150, 146, 140), 0.8)
    for depth, n in ((0.6, 4), (0.2, 3)):
        for k in range(n):
            x = (k + 0.5) * W / n + float(pen.rng.uniform(-30, 30))
            if depth < 0.5 and k == 1:
                continue
            wall = pen.at(x, 222, depth=depth)
            width, height = float(pen.rng.uniform(56, 86)), float(pen.rng.uniform(64, 118))
            left, right = -width / 2, width / 2
            top = [(left + width * j / 6, height * float(pen.rng.uniform(0.55, 1.0))) for j in range(7)]
            wall.shape([(left, 0), *top, (right, 0)], varied(pen.rng, (158, 140, 126)))
            for wx in (left + 10, right - 26):
                wall.box(wx, 20, wx + 15, 44, (62, 56, 60), round_by=2)
            for _ in range(8):
                bx, by = float(pen.rng.uniform(left + 2, right - 12)), float(pen.rng.uniform(2, height * 0.5))
                wall.box(bx, by, bx + 9, by + 4, (134, 112, 98), 190)
    _ground(pen, 218, (150, 142, 132))
    for _ in range(26):
        stone = pen.at(pen.rng.uniform(0, W), pen.rng.uniform(222, H), pen.rng.uniform(0.5, 1.3))
        stone.shape([(-9, 0), (-6, 7), (3, 9), (10, 3), (9, 0)], varied(pen.rng, (122, 114, 108), 18))
    side = int(pen.rng.choice([-1, 1]))
    tree = pen.at(W / 2 + side * 150, 240, 1.0, side)
    tree.stroke([(0, 0), (-3, 50), (2, 96)], 7, (74, 62, 56))
    for branch in ([(-2, 52), (-22, 74), (-26, 92)], [(0, 66), (20, 86), (24, 106)], [(1, 86), (-12, 110)]):
        tree.stroke(branch, 4, (74, 62, 56))


SETTINGS: dict[str, Callable[[Pen, str], None]] = {
    "beach": _beach,
    "forest": _forest,
    "city": _city,
    "room": _room,
    "mountains": _mountains,
    "meadow": _meadow,
    "desert": _desert,
    "snow": _snow,
    "harbour": _harbour,
    "ruins": _ruins,
}
