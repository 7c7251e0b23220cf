"""The people of synthetic scenes, and the robot, each about 100 units high."""

from emocap.demo.pen import INK, SKIN, WHITE, Colour, Pen, ring_bounds, varied


def _head(pen: Pen, x: float, y: float, skin: Colour, hair: Colour, size: float = 1.0) -> None:
    pen.oval(x, y + 4 * size, 19 * size, 19 * size, hair)
    pen.oval(x, y, 16 * size, 17 * size, skin)
    for dx in (-6, 6):
        pen.oval(x + dx * size, y + size, 2 * size, 2.6 * size, INK)
        pen.oval(x + 1.6 * dx * size, y - 5 * size, 3.4 * size, 2.4 * size, (236, 128, 118), 120)
    pen.stroke([(x - 4 * size, y - 7 * size), (x, y - 9 * size), (x + 4 * size, y - 7 * size)], 2 * size, (140, 62, 58))


def _body(pen: Pen, x: float, shirt: Colour, trousers: Colour, skin: Colour, tall: float = 1.0, arm: int = 1) -> None:
    for dx in (-8, 8):
        pen.stroke([(x + dx, 44 * tall), (x + dx, 6)], 11, trousers)
        pen.oval(x + dx + 3, 4, 9, 5, INK)
    pen.stroke([(x - 14, 74 * tall), (x - 24, 52 * tall)], 9, shirt)
    pen.oval(x - 25, 48 * tall, 5, 5, skin)
    pen.stroke([(x + 14, 74 * tall), (x + 25, (52 if arm > 0 else 96) * tall)], 9, shirt)
    pen.oval(x + 26, (48 if arm > 0 else 100) * tall, 5, 5, skin)
    pen.blob([(x - 16, 38 * tall), (x - 17, 66 * tall), (x - 10, 82 * tall), (x + 10, 82 * tall), (x + 17, 66 * tall),
              (x + 16, 38 * tall)], shirt)  # fmt: skip


def draw_child(pen: Pen) -> None:
    skin = SKIN[int(pen.rng.integers(4))]
    pen.shadow(28)
    shirt = varied(pen.rng, (240, 190, 60), 30)
    _body(pen, 0, shirt, (70, 104, 168), skin, 0.8, -1)
    for y in (42, 54):
        pen.stroke([(-15, y), (15, y)], 4, WHITE)
    _head(pen, 0, 82, skin, (96, 58, 38), 1.15)
    pen.shape([(-20, 92), (20, 92), (12, 108), (-12, 108)], (214, 64, 66))
    pen.box(-2, 90, 30, 95, (214, 64, 66), round_by=2)


def draw_couple(pen: Pen) -> None:
    first, second = SKIN[int(pen.rng.integers(4))], SKIN[int(pen.rng.integers(4))]
    pen.shadow(52)
    _body(pen, -24, varied(pen.rng, (66, 120, 130), 25), (60, 62, 84), first, 1.0)
    pen.blob([(6, 20), (14, 66), (18, 80), (34, 80), (38, 66), (48, 20), (26, 14)], varied(pen.rng, (216, 84, 104), 25))
    for dx in (19, 33):
        pen.stroke([(dx, 18), (dx, 5)], 7, second)
        pen.oval(dx + 2, 4, 7, 4, INK)
    pen.stroke([(40, 74), (52, 52)], 8, second)
    pen.stroke([(14, 74), (2, 50)], 8, second)
    pen.blob([(8, 74), (8, 106), (26, 118), (44, 106), (44, 74), (26, 84)], (86, 46, 34))
    _head(pen, 26, 98, second, (86, 46, 34), 0.95)
    _head(pen, -24, 102, first, (52, 42, 40), 1.0)
    pen.blob([(1, 128), (-7, 137), (-3, 142), (1, 139), (5, 142), (9, 137)], (226, 62, 84))


def draw_old_man(pen: Pen) -> None:
    skin = SKIN[int(pen.rng.integers(4))]
    pen.shadow(34)
    _body(pen, 0, varied(pen.rng, (112, 128, 96), 20), (92, 78, 68), skin, 1.0)
    pen.stroke([(28, 52), (36, 2)], 4, (116, 78, 48))
    pen.stroke([(20, 54), (30, 55)], 5, (116, 78, 48))
    _head(pen, 0, 100, skin, (226, 226, 228), 1.05)
    pen.blob([(-16, 96), (-12, 80), (0, 72), (12, 80), (16, 96), (0, 90)], (238, 238, 240))
    for x in (-7, 7):
        pen.draw.ellipse(ring_bounds(pen, x, 101, 6), outline=pen.lit(INK), width=2)
    pen.blob([(-22, 112), (-12, 124), (10, 126), (24, 114), (28, 110)], (96, 84, 78))


def draw_robot(pen: Pen) -> None:
    shell = varied(pen.rng, (158, 176, 190), 25)
    dark: Colour = (84, 98, 112)
    pen.shadow(36)
    for x in (-14, 14):
        pen.box(x - 6, 4, x + 6, 30, dark)
        pen.box(x - 12, 0, x + 12, 10, shell, round_by=4)
        pen.stroke([(x * 2, 66), (x * 3, 50), (x * 2.8, 34)], 8, dark)
        pen.oval(x * 2.8, 32, 7, 7, shell)
    pen.box(-28, 26, 28, 76, shell, round_by=8)
    pen.box(-18, 38, 18, 64, (58, 70, 84), round_by=4)
    for k, colour in enumerate(((236, 84, 76), (250, 200, 80), (96, 200, 120))):
        pen.oval(-10 + 10 * k, 56, 3.6, 3.6, colour, shines=True)
    pen.stroke([(-12, 46), (-6, 46), (-2, 50), (3, 42), (12, 46)], 2, (130, 240, 220), shines=True)
    pen.box(-6, 76, 6, 84, dark)
    pen.box(-26, 82, 26, 118, shell, round_by=10)
    pen.box(-20, 92, 20, 110, (44, 54, 66), round_by=7)
    for x in (-9, 9):
        pen.oval(x, 101, 6, 6, (116, 232, 250), shines=True)
    pen.stroke([(0, 118), (0, 132)], 3, dark)
    pen.oval(0, 134, 5, 5, (240, 80, 80), shines=True)
