"""The twenty subjects of made-up scenes, each a function that draws one in about 100 units of height."""

from collections.abc import Callable
from math import cos, sin

from emocap.demo.pen import GLOWING, Colour, Pen, varied

INK: Colour = (40, 34, 38)
WHITE: Colour = (250, 248, 244)
SKIN: tuple[Colour, ...] = ((244, 206, 176), (222, 172, 134), (168, 116, 82), (116, 78, 58))
# How far above the ground a subject hangs.
FLOATING = {"hot-air balloon": 42.0}


def _dog(pen: Pen) -> None:
    coat = varied(pen.rng, (178, 118, 70), 25)
    dark: Colour = (116, 74, 48)
    pen.shadow(50)
    pen.stroke([(-40, 46), (-56, 66), (-54, 82)], 9, coat)
    for x in (-32, -20, 20, 32):
        pen.stroke([(x, 30), (x, 5)], 12, dark if x in (-20, 32) else coat)
    pen.blob([(-46, 42), (-30, 60), (10, 58), (36, 62), (42, 38), (20, 24), (-34, 24)], coat)
    pen.oval(42, 76, 25, 23, coat)
    pen.blob([(52, 78), (72, 74), (76, 64), (64, 58), (48, 62)], (226, 186, 142))
    pen.blob([(22, 90), (32, 98), (34, 78), (26, 58), (16, 66)], dark)
    pen.oval(74, 72, 6, 5, INK)
    pen.oval(52, 82, 4, 5, INK)
    pen.oval(53, 84, 1.5, 1.5, WHITE)
    pen.stroke([(24, 56), (40, 51), (54, 54)], 5, (206, 58, 62))
    pen.oval(41, 47, 5, 5, (250, 204, 78))


def _cat(pen: Pen) -> None:
    coat = varied(pen.rng, (144, 142, 152), 25)
    pen.shadow(38)
    pen.stroke([(-22, 8), (-46, 10), (-54, 30), (-46, 46)], 9, coat)
    pen.blob([(-30, 6), (-30, 36), (-14, 62), (14, 62), (28, 36), (28, 6), (0, 1)], coat)
    pen.blob([(-10, 8), (-10, 36), (0, 50), (10, 36), (10, 8)], (236, 234, 236))
    for x in (-12, 12):
        pen.oval(x, 6, 10, 6, (236, 234, 236))
        pen.shape([(x * 2.1, 76), (x * 2.0, 108), (x * 0.5, 96)], coat)
        pen.shape([(x * 1.9, 82), (x * 1.8, 101), (x * 0.9, 94)], (238, 176, 180))
    pen.oval(0, 78, 29, 24, coat)
    for x in (-11, 11):
        pen.oval(x, 82, 6.5, 8, (176, 216, 96))
        pen.oval(x, 82, 2.4, 7, INK)
        for dy in (-2, 3):
            pen.stroke([(x * 1.4, 70), (x * 3.4, 70 + dy)], 1, WHITE)
    pen.shape([(-4, 73), (4, 73), (0, 68)], (226, 124, 134))
    for y in (24, 36, 48):
        pen.stroke([(-27, y), (-15, y + 3)], 4, (96, 94, 106))
        pen.stroke([(25, y), (14, y + 3)], 4, (96, 94, 106))


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


def _child(pen: Pen) -> None:
    skin = SKIN[int(pen.rng.integers(4))]
    pen.shadow(28)
    shirt = varied(pen.rng, (240, 190, 60), 30)
    _body(pen, 0, shirt, (70, 104, 168), skin, 0.8, -1)
    for y in (42, 54):
        pen.stroke([(-15, y), (15, y)], 4, WHITE)
    _head(pen, 0, 82, skin, (96, 58, 38), 1.15)
    pen.shape([(-20, 92), (20, 92), (12, 108), (-12, 108)], (214, 64, 66))
    pen.box(-2, 90, 30, 95, (214, 64, 66), round_by=2)


def _couple(pen: Pen) -> None:
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


def _old_man(pen: Pen) -> None:
    skin = SKIN[int(pen.rng.integers(4))]
    pen.shadow(34)
    _body(pen, 0, varied(pen.rng, (112, 128, 96), 20), (92, 78, 68), skin, 1.0)
    pen.stroke([(28, 52), (36, 2)], 4, (116, 78, 48))
    pen.stroke([(20, 54), (30, 55)], 5, (116, 78, 48))
    _head(pen, 0, 100, skin, (226, 226, 228), 1.05)
    pen.blob([(-16, 96), (-12, 80), (0, 72), (12, 80), (16, 96), (0, 90)], (238, 238, 240))
    for x in (-7, 7):
        pen.draw.ellipse(_ring(pen, x, 101, 6), outline=pen.lit(INK), width=2)
    pen.blob([(-22, 112), (-12, 124), (10, 126), (24, 114), (28, 110)], (96, 84, 78))


def _ring(pen: Pen, x: float, y: float, r: float) -> tuple[float, float, float, float]:
    (cx, cy) = pen.place([(x, y)])[0]
    r *= pen.scale
    return cx - r, cy - r, cx + r, cy + r


def _bird(pen: Pen) -> None:
    coat = varied(pen.rng, (62, 132, 206), 30)
    pen.shadow(34)
    for x in (-6, 8):
        pen.stroke([(x, 24), (x, 3), (x + 10, 2)], 4, (236, 150, 60))
    pen.shape([(-34, 44), (-72, 60), (-66, 42), (-70, 32)], (40, 92, 160))
    pen.blob([(-44, 46), (-24, 70), (8, 76), (34, 60), (30, 34), (4, 20), (-26, 26)], coat)
    pen.blob([(2, 22), (30, 34), (34, 54), (18, 50), (6, 36)], (250, 178, 96))
    pen.oval(28, 78, 23, 22, coat)
    pen.shape([(47, 84), (70, 76), (47, 71)], (250, 182, 58))
    pen.oval(34, 83, 6, 6, WHITE)
    pen.oval(35.5, 83, 3.4, 3.4, INK)
    pen.blob([(-38, 48), (-12, 64), (10, 56), (0, 38), (-24, 36)], (40, 92, 160))


def _horse(pen: Pen) -> None:
    coat = varied(pen.rng, (150, 92, 58), 30)
    mane: Colour = (62, 42, 34)
    pen.shadow(58)
    pen.blob([(-46, 66), (-62, 58), (-66, 26), (-56, 22), (-52, 50), (-42, 56)], mane)
    for x, tone in ((-28, mane), (32, mane), (-38, coat), (22, coat)):
        pen.stroke([(x, 44), (x, 8)], 11, tone)
        pen.box(x - 7, 0, x + 7, 8, INK, round_by=2)
    pen.blob([(-50, 58), (-36, 76), (4, 70), (30, 80), (42, 56), (26, 38), (-36, 36)], coat)
    pen.blob([(14, 70), (32, 108), (46, 122), (60, 110), (48, 92), (42, 58)], coat)
    pen.blob([(40, 124), (56, 126), (84, 98), (80, 86), (66, 88), (46, 100)], coat)
    pen.blob([(70, 96), (86, 98), (84, 84), (72, 86)], (196, 146, 112))
    pen.shape([(42, 118), (42, 138), (54, 122)], coat)
    pen.blob([(46, 128), (30, 120), (12, 84), (10, 72), (22, 76), (36, 106)], mane)
    pen.oval(59, 111, 4, 4.5, INK)
    pen.oval(80, 92, 2, 2, INK)


def _snake(pen: Pen) -> None:
    coat = varied(pen.rng, (84, 150, 72), 25)
    pen.shadow(62)
    for y, rx in ((10, 56), (24, 44), (37, 31)):
        pen.oval(0, y, rx, 13, (48, 94, 50))
        pen.oval(0, y + 2, rx - 2, 10, coat)
        for k in range(-2, 3):
            pen.oval(k * rx / 2.9, y + 2, 6, 4, (232, 206, 88))
    pen.stroke([(8, 42), (-14, 62), (14, 84), (26, 104)], 17, coat)
    for x, y in ((-4, 60), (6, 78)):
        pen.oval(x, y, 5, 5, (232, 206, 88))
    pen.blob([(10, 108), (22, 120), (46, 114), (54, 102), (40, 94), (18, 96)], coat)
    pen.stroke([(52, 102), (66, 100), (74, 105)], 3, (220, 50, 66))
    pen.stroke([(66, 100), (73, 95)], 3, (220, 50, 66))
    pen.oval(34, 109, 5.5, 6, (252, 222, 84))
    pen.oval(35, 109, 2, 5.5, INK)


def _spider(pen: Pen) -> None:
    coat: Colour = (48, 40, 50)
    pen.shadow(66)
    for side in (-1, 1):
        for reach, knee, foot in ((30, 78, 78), (46, 72, 58), (54, 56, 40), (44, 46, 22)):
            pen.stroke([(side * 12, 38), (side * (reach + 6), knee), (side * (foot + 4), 2)], 6, coat)
    pen.oval(0, 46, 36, 31, coat)
    pen.oval(0, 30, 22, 18, (70, 58, 70))
    pen.shape([(-9, 62), (9, 62), (-9, 46), (9, 46)], (206, 46, 58))
    for x, y, r in ((-9, 34, 7), (9, 34, 7), (-17, 42, 4), (17, 42, 4)):
        pen.oval(x, y, r, r, WHITE)
        pen.oval(x, y - 1, r * 0.5, r * 0.5, (176, 34, 44))
    for x in (-7, 7):
        pen.shape([(x - 4, 18), (x + 4, 18), (x, 8)], WHITE)


def _robot(pen: Pen) -> None:
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


def _boat(pen: Pen) -> None:
    pen.shadow(72)
    pen.box(-2, 34, 3, 132, (120, 86, 58))
    sail = varied(pen.rng, (244, 232, 206), 10)
    pen.shape([(7, 44), (7, 128), (58, 46)], sail)
    pen.shape([(-6, 46), (-6, 112), (-40, 46)], (224, 120, 92))
    pen.shape([(16, 60), (16, 76), (30, 62)], (196, 168, 128))
    pen.blob([(-66, 38), (-40, 35), (40, 35), (72, 42), (54, 10), (36, 3), (-36, 3), (-54, 12)],
             varied(pen.rng, (146, 86, 62), 20))  # fmt: skip
    pen.stroke([(-63, 33), (-30, 31), (40, 31), (67, 36)], 5, (238, 222, 196))
    for y in (12, 21):
        pen.stroke([(-50, y), (52, y)], 1.5, (104, 60, 44))


def _car(pen: Pen) -> None:
    paint = varied(pen.rng, (214, 62, 56), 40)
    pen.shadow(74)
    pen.blob([(-46, 42), (-34, 70), (-14, 78), (18, 78), (38, 64), (50, 42)], paint)
    pen.shape([(-36, 44), (-27, 68), (-4, 71), (-4, 44)], (178, 222, 238))
    pen.shape([(3, 44), (3, 71), (19, 71), (38, 46)], (178, 222, 238))
    pen.shape([(-30, 50), (-25, 64), (-19, 66), (-24, 48)], WHITE, 150)
    pen.blob([(-72, 22), (-72, 40), (-50, 48), (50, 47), (72, 38), (74, 20), (60, 12), (-62, 12)], paint)
    pen.box(-74, 12, 76, 19, (212, 214, 220), round_by=3)
    pen.oval(69, 32, 6, 7, (255, 240, 170), shines=pen.light in GLOWING)
    if pen.light in GLOWING:
        pen.shape([(72, 36), (72, 28), (132, 4), (132, 44)], (255, 240, 170), 60, shines=True)
    pen.oval(-70, 32, 4, 6, (170, 30, 40))
    pen.stroke([(-1, 40), (10, 40)], 3, (235, 235, 240))
    for x in (-42, 42):
        pen.oval(x, 15, 18, 18, (44, 42, 48))
        pen.oval(x, 15, 9, 9, (206, 210, 216))


def _bicycle(pen: Pen) -> None:
    paint = varied(pen.rng, (38, 134, 150), 35)
    pen.shadow(66, 4)
    for x in (-42, 42):
        pen.draw.ellipse(_ring(pen, x, 29, 29), outline=pen.lit((44, 44, 50)), width=max(3, round(5 * pen.scale)))
        for k in range(6):
            a = k * 0.5236
            pen.stroke([(x - 26 * cos(a), 29 - 26 * sin(a)), (x + 26 * cos(a), 29 + 26 * sin(a))], 1, (186, 190, 196))
    pen.stroke([(-42, 29), (-16, 70), (30, 72), (0, 29), (-42, 29)], 6, paint)
    pen.stroke([(-16, 70), (0, 29)], 6, paint)
    pen.stroke([(42, 29), (28, 82)], 6, paint)
    pen.stroke([(-16, 70), (-20, 82)], 5, paint)
    pen.blob([(-36, 84), (-22, 90), (-4, 85), (-20, 80)], (82, 54, 42))
    pen.stroke([(28, 82), (26, 92), (12, 96)], 5, (62, 62, 68))
    pen.blob([(34, 66), (34, 86), (62, 86), (58, 66)], (196, 148, 92))
    for dx, colour in ((40, (236, 92, 112)), (49, (250, 206, 80)), (57, (240, 240, 246))):
        pen.oval(dx, 90, 6, 6, colour)
    pen.oval(0, 29, 8, 8, (62, 62, 68))


def _house(pen: Pen) -> None:
    wall = varied(pen.rng, (244, 232, 208), 14)
    roof = varied(pen.rng, (190, 80, 64), 25)
    shining = pen.light in GLOWING
    pane: Colour = (255, 216, 118) if shining else (150, 200, 224)
    pen.shadow(72)
    pen.box(24, 90, 40, 128, (156, 94, 80))
    pen.box(-56, 0, 56, 78, wall)
    pen.box(40, 0, 56, 78, (120, 100, 90), 50)
    pen.shape([(-70, 74), (70, 74), (0, 130)], roof)
    pen.shape([(0, 130), (70, 74), (50, 74)], (90, 30, 30), 60)
    pen.oval(0, 92, 10, 10, WHITE)
    pen.oval(0, 92, 7, 7, pane, shines=shining)
    for x in (-34, 34):
        pen.box(x - 14, 32, x + 14, 62, WHITE)
        pen.box(x - 11, 35, x + 11, 59, pane, shines=shining)
        pen.box(x - 1, 35, x + 1, 59, WHITE)
        pen.box(x - 16, 26, x + 16, 33, (150, 100, 66))
        for dx in (-9, 0, 9):
            pen.oval(x + dx, 36, 4.5, 4, (226, 84, 104))
    pen.box(-11, 0, 11, 44, (92, 120, 104), round_by=3)
    pen.oval(6, 22, 2, 2, (246, 214, 110))


def _tree(pen: Pen) -> None:
    leaf = varied(pen.rng, (84, 152, 70), 25)
    r, g, b = leaf
    pen.shadow(50)
    pen.blob([(-16, 0), (-8, 24), (-9, 60), (10, 60), (9, 24), (18, 0)], (120, 84, 58))
    pen.stroke([(4, 40), (26, 66)], 7, (120, 84, 58))
    for dx, dy, size in ((-32, 74, 28), (32, 74, 28), (0, 70, 30), (-18, 104, 29), (20, 104, 29), (0, 122, 22)):
        pen.oval(dx + 3, dy - 4, size, size, (max(0, r - 26), max(0, g - 30), max(0, b - 22)))
        pen.oval(dx, dy, size, size, leaf)
    for dx, dy in ((-28, 86), (-6, 118), (14, 98), (30, 80), (-8, 80)):
        pen.oval(dx - 4, dy + 4, 9, 8, (min(255, r + 30), min(255, g + 28), b), 150)
    for dx, dy in ((-36, 68), (-14, 98), (10, 76), (32, 96), (38, 66), (4, 126)):
        pen.oval(dx, dy, 5, 5, (214, 58, 54))


def _sunflower(pen: Pen) -> None:
    pen.shadow(24, 4)
    pen.stroke([(0, 0), (-4, 40), (0, 84)], 7, (74, 140, 62))
    pen.blob([(-3, 28), (-26, 46), (-46, 42), (-30, 26)], (92, 164, 74))
    pen.blob([(-3, 44), (20, 62), (42, 58), (26, 42)], (92, 164, 74))
    petal = varied(pen.rng, (252, 200, 46), 14)
    for ring, colour in ((0.0, (236, 164, 30)), (0.2, petal)):
        for k in range(16):
            a = k * 0.3927 + ring
            pen.oval(33 * cos(a), 100 + 33 * sin(a), 16, 6.5, colour, turn=a * 57.2958)
    pen.oval(0, 100, 25, 25, (110, 66, 36))
    pen.oval(0, 100, 17, 17, (80, 46, 28))
    for k in range(14):
        pen.oval(20 * cos(k * 0.449), 100 + 20 * sin(k * 0.449), 2, 2, (172, 116, 60))


def _teddy(pen: Pen) -> None:
    fur = varied(pen.rng, (188, 134, 84), 20)
    pale: Colour = (236, 204, 160)
    pen.shadow(46)
    for x in (-1, 1):
        pen.oval(x * 30, 48, 13, 20, fur, turn=x * 28)
        pen.oval(x * 23, 106, 13, 13, fur)
        pen.oval(x * 23, 106, 7, 7, pale)
    pen.oval(0, 38, 32, 34, fur)
    pen.oval(0, 38, 20, 22, pale)
    for x in (-1, 1):
        pen.oval(x * 30, 13, 18, 14, fur)
        pen.oval(x * 33, 13, 9, 9, pale)
    pen.oval(0, 86, 32, 28, fur)
    pen.oval(0, 78, 15, 12, pale)
    pen.oval(0, 84, 6, 4.5, INK)
    pen.stroke([(-6, 74), (0, 71), (6, 74)], 2, INK)
    for x in (-12, 12):
        pen.oval(x, 94, 4, 4.5, INK)
        pen.shape([(0, 61), (x * 1.5, 69), (x * 1.5, 53)], (206, 58, 74))
    pen.oval(0, 61, 4, 4, (166, 38, 56))


def _eval_set(pen: Pen) -> None:
    wood = varied(pen.rng, (168, 112, 68), 20)
    pen.shadow(78)
    for x in (-56, 56):
        pen.stroke([(x, 2), (x, 74)], 6, (58, 60, 66))
        pen.stroke([(x, 34), (x + 8, 2)], 6, (58, 60, 66))
        pen.stroke([(x, 50), (x + 12, 50)], 5, (58, 60, 66))
    for y in (46, 58, 70):
        pen.box(-68, y, 68, y + 8, wood, round_by=2)
        pen.stroke([(-64, y + 1), (64, y + 1)], 1.5, (118, 76, 46))
    pen.shape([(-70, 30), (70, 30), (78, 38), (-62, 38)], wood)
    pen.box(-70, 25, 70, 31, (124, 80, 48), round_by=2)


def _rubbish(pen: Pen) -> None:
    pen.shadow(72)
    pen.blob([(-70, 0), (-56, 30), (-24, 56), (6, 68), (36, 50), (62, 24), (72, 0)], (104, 92, 72))
    for x, y, size in ((-36, 16, 1.0), (22, 22, 1.1), (-6, 44, 0.9), (48, 10, 0.7)):
        bag = varied(pen.rng, (52, 54, 62), 12)
        pen.blob([(x - 24 * size, y - 14 * size), (x - 20 * size, y + 10 * size), (x, y + 18 * size),
                  (x + 22 * size, y + 8 * size), (x + 24 * size, y - 14 * size)], bag)  # fmt: skip
        pen.shape([(x - 5, y + 16 * size), (x + 5, y + 16 * size), (x + 8, y + 26 * size), (x - 7, y + 25 * size)], bag)
        pen.stroke([(x - 12 * size, y + 6 * size), (x - 4 * size, y + 11 * size)], 3, (140, 144, 156))
    pen.box(-14, 4, 0, 26, (206, 74, 62), round_by=2)
    pen.box(-14, 12, 0, 18, WHITE)
    pen.blob([(-62, 4), (-56, 14), (-44, 10), (-46, 2)], (232, 206, 76))
    pen.stroke([(8, 66), (14, 78), (24, 82)], 3, (226, 232, 220))
    pen.stroke([(24, 6), (44, 2)], 7, (122, 172, 92))
    for x in (-52, -30, 4, 30, 50):
        fx, fy = x + float(pen.rng.uniform(-8, 8)), float(pen.rng.uniform(70, 112))
        pen.oval(fx, fy, 3, 2.4, INK)
        pen.oval(fx - 2, fy + 3, 3, 2, WHITE, 170)
        pen.oval(fx + 2, fy + 3, 3, 2, WHITE, 170)
    for x in (-20, 16):
        trail = [(x + 5 * sin(k / 1.6), 74 + 6 * k) for k in range(8)]
        pen.stroke(trail, 4, (150, 170, 84), 150)


def _balloon(pen: Pen) -> None:
    stripes: tuple[tuple[Colour, Colour], ...] = (
        ((226, 70, 66), (250, 226, 160)), ((54, 130, 186), (250, 206, 84)), ((136, 86, 170), (248, 160, 120)),
    )  # fmt: skip
    first, second = stripes[int(pen.rng.integers(3))]
    pen.at(pen.x, pen.y + FLOATING["hot-air balloon"] * pen.scale, pen.scale).shadow(34, 5)
    for x in (-26, -10, 10, 26):
        pen.stroke([(x, 58), (x * 0.5, 20)], 1.5, (92, 70, 54))
    pen.blob([(-16, 46), (-48, 78), (-58, 116), (-34, 154), (0, 164), (34, 154), (58, 116), (48, 78), (16, 46)], first)
    for half, colour in ((44, second), (27, first), (11, second)):
        pen.blob([(-10 * half / 44, 46), (-half, 84), (-half, 118), (-half * 0.6, 152), (0, 163), (half * 0.6, 152),
                  (half, 118), (half, 84), (10 * half / 44, 46)], colour)  # fmt: skip
    pen.blob([(-44, 118), (-36, 140), (-22, 152), (-32, 128)], WHITE, 80)
    pen.box(-15, 2, 15, 22, (164, 112, 66), round_by=3)
    pen.box(-17, 19, 17, 25, (118, 76, 46), round_by=2)
    pen.oval(0, 38, 4, 7, (255, 196, 80), shines=True)


SUBJECTS: dict[str, Callable[[Pen], None]] = {
    "dog": _dog,
    "cat": _cat,
    "child": _child,
    "couple": _couple,
    "old man": _old_man,
    "bird": _bird,
    "horse": _horse,
    "snake": _snake,
    "spider": _spider,
    "robot": _robot,
    "boat": _boat,
    "car": _car,
    "bicycle": _bicycle,
    "house": _house,
    "tree": _tree,
    "sunflower": _sunflower,
    "teddy bear": _teddy,
    "bench": _eval_set,
    "rubbish": _rubbish,
    "hot-air balloon": _balloon,
}
