"""Things and plants of synthetic scenes, each about 100 units high."""

from math import cos, sin

from emocap.demo.pen import GLOWING, INK, WHITE, Colour, Pen, ring_bounds, varied

# Height above the ground at which a subject floats.
FLOATING = {"hot-air balloon": 42.0}


def draw_boat(pen: Pen) -> None:
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


def draw_car(pen: Pen) -> None:
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


def draw_bicycle(pen: Pen) -> None:
    paint = varied(pen.rng, (38, 134, 150), 35)
    pen.shadow(66, 4)
    for x in (-42, 42):
        pen.draw.ellipse(ring_bounds(pen, x, 29, 29), outline=pen.lit((44, 44, 50)), width=max(3, round(5 * pen.scale)))
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


def draw_house(pen: Pen) -> None:
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


def draw_tree(pen: Pen) -> None:
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


def draw_sunflower(pen: Pen) -> None:
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


def draw_teddy(pen: Pen) -> None:
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


def draw_bench(pen: Pen) -> None:
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


def draw_rubbish(pen: Pen) -> None:
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


def draw_balloon(pen: Pen) -> None:
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
