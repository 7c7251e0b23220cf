"""Natural settings of synthetic scenes: each function paints everything between sky and subject."""

from math import sin

from emocap.demo.ground import ground, ridge
from emocap.demo.pen import DARK, GLOW, HORIZON, Colour, H, Pen, W, varied


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


def paint_beach(pen: Pen, light: str) -> None:
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


def paint_forest(pen: Pen, light: str) -> None:
    for row, (depth, base, size, n) in enumerate(((0.9, 190, 1.1, 13), (0.55, 204, 1.4, 10), (0.25, 220, 1.7, 7))):
        ridge(pen, base - 8, 5, 60, (58, 110, 70), depth)
        for k in range(n):
            x = (k + 0.5) * W / n + float(pen.rng.uniform(-12, 12))
            if row == 2 and 90 < x < W - 90:
                continue
            _fir(pen, x, base + 4, size * float(pen.rng.uniform(0.85, 1.2)), (46, 116, 74), depth)
    ground(pen, 216, (92, 128, 64))
    for _ in range(20):
        _tuft(pen, float(pen.rng.uniform(0, W)), float(pen.rng.uniform(224, H)), (62, 104, 52))
    for _ in range(4):
        mushroom = pen.at(float(pen.rng.uniform(10, W - 10)), float(pen.rng.uniform(236, 280)), 0.9)
        mushroom.box(-3, 0, 3, 9, (246, 236, 216))
        mushroom.oval(0, 10, 9, 6, (206, 62, 54))
        mushroom.oval(-3, 12, 2, 1.6, (255, 244, 236))


def paint_mountains(pen: Pen, light: str) -> None:
    for depth, high, colour, n in ((0.85, 124, (112, 130, 168), 3), (0.45, 96, (96, 112, 142), 4)):
        for k in range(n):
            x = (k + 0.5) * W / n + float(pen.rng.uniform(-26, 26))
            h, half = high * float(pen.rng.uniform(0.8, 1.12)), high * float(pen.rng.uniform(0.9, 1.15))
            peak = pen.at(x, 214, depth=depth)
            peak.shape([(-half, 0), (half, 0), (0, h)], colour)
            peak.shape([(0, h), (half, 0), (half * 0.15, 0), (-4, h * 0.5)], (46, 54, 84), 64)
            peak.shape([(0, h), (half * 0.3, h * 0.7), (half * 0.13, h * 0.75), (0, h * 0.64), (-half * 0.14, h * 0.76),
                        (-half * 0.3, h * 0.7)], (248, 250, 255))  # fmt: skip
    ridge(pen, 204, 7, 70, (70, 124, 88), 0.3)
    for k in range(9):
        x = k * W / 8 + float(pen.rng.uniform(-14, 14))
        _fir(pen, x, 216, float(pen.rng.uniform(0.35, 0.55)), (44, 102, 74), 0.25)
    ground(pen, 214, (116, 164, 84))
    for _ in range(5):
        stone = pen.at(pen.rng.uniform(0, W), pen.rng.uniform(228, 280))
        stone.blob([(-12, 0), (-8, 8), (2, 11), (12, 5), (13, 0)], varied(pen.rng, (146, 148, 152)))


def paint_meadow(pen: Pen, light: str) -> None:
    ridge(pen, 178, 13, 90, (120, 178, 108), 0.8)
    ridge(pen, 192, 10, 70, (120, 186, 92), 0.45)
    for _ in range(4):
        tree = pen.at(pen.rng.uniform(0, W), pen.rng.uniform(188, 200), 0.5, depth=0.45)
        tree.box(-4, 0, 4, 26, (112, 80, 56))
        for dx, dy, r in ((-14, 36, 18), (12, 36, 18), (0, 52, 20)):
            tree.oval(dx, dy, r, r, (74, 146, 74))
    ground(pen, 204, (126, 192, 84))
    petals: tuple[Colour, ...] = ((250, 250, 246), (250, 214, 72), (236, 96, 108), (170, 120, 214))
    for _ in range(60):
        x, y = float(pen.rng.uniform(0, W)), float(pen.rng.uniform(212, H))
        size = 1.2 + (y - 204) / 32
        pen.at(x, y).oval(0, 0, size, size, petals[int(pen.rng.integers(4))])
    for _ in range(14):
        _tuft(pen, float(pen.rng.uniform(0, W)), float(pen.rng.uniform(226, H)), (84, 150, 62))


def paint_desert(pen: Pen, light: str) -> None:
    mesa = pen.at(pen.rng.uniform(50, W - 50), 196, depth=0.8)
    mesa.shape([(-70, 0), (-54, 46), (-50, 66), (40, 66), (46, 44), (72, 0)], (196, 116, 84))
    mesa.shape([(-54, 46), (-50, 54), (43, 54), (46, 46)], (168, 94, 70))
    ridge(pen, 192, 11, 80, (232, 178, 112), 0.5)
    ridge(pen, 206, 10, 62, (238, 190, 120), 0.25)
    ground(pen, 222, (242, 202, 136), 0.05)
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


def paint_snow(pen: Pen, light: str) -> None:
    ridge(pen, 184, 14, 80, (206, 222, 240), 0.8)
    for k in range(10):
        x, size = k * W / 9 + float(pen.rng.uniform(-14, 14)), float(pen.rng.uniform(0.4, 0.7))
        _fir(pen, x, 200, size, (58, 108, 98), 0.5, snowy=True)
    ridge(pen, 202, 8, 70, (228, 238, 250), 0.35)
    side = int(pen.rng.choice([-1, 1]))
    hut = pen.at(W / 2 + side * 128, 216, 1.0, depth=0.1)
    hut.box(-28, 0, 28, 32, (142, 92, 62))
    hut.box(12, 38, 20, 60, (126, 84, 74))
    hut.shape([(-36, 28), (36, 28), (0, 58)], (246, 250, 255))
    hut.box(-16, 10, -2, 24, GLOW if light in DARK else (150, 186, 206), shines=light in DARK)
    hut.box(7, 0, 19, 22, (92, 58, 42))
    ground(pen, 212, (232, 240, 250), 0.1)
    for x in (18, W - 18):
        _fir(pen, x, 250, 1.2, (52, 102, 92), 0.05, snowy=True)
    for _ in range(50):
        pen.at(pen.rng.uniform(0, W), pen.rng.uniform(0, H)).oval(0, 0, 1.7, 1.7, (255, 255, 255), 190)
