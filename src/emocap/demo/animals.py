"""The six animals of synthetic scenes, each about 100 units high."""

from emocap.demo.pen import INK, WHITE, Colour, Pen, varied


def draw_dog(pen: Pen) -> None:
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


def draw_cat(pen: Pen) -> None:
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


def draw_bird(pen: Pen) -> None:
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


def draw_horse(pen: Pen) -> None:
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


def draw_snake(pen: Pen) -> None:
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


def draw_spider(pen: Pen) -> None:
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
