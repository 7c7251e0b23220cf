"""Built settings of synthetic scenes: each function paints everything between sky and subject."""

from emocap.demo.ground import ground, ridge
from emocap.demo.pen import DARK, GLOW, Colour, H, Pen, W, varied


def paint_city(pen: Pen, light: str) -> None:
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


def paint_room(pen: Pen, light: str) -> None:
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


def paint_harbour(pen: Pen, light: str) -> None:
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


def paint_ruins(pen: Pen, light: str) -> None:
    ridge(pen, 188, 8, 80, (150, 146, 140), 0.8)
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
    ground(pen, 218, (150, 142, 132))
    for _ in range(26):
        stone = pen.at(pen.rng.uniform(0, W), pen.rng.uniform(222, H), pen.rng.uniform(0.5, 1.3))
        stone.shape([(-9, 0), (-6, 7), (3, 9), (10, 3), (9, 0)], varied(pen.rng, (122, 114, 108), 18))
    side = int(pen.rng.choice([-1, 1]))
    tree = pen.at(W / 2 + side * 150, 240, 1.0, side)
    tree.stroke([(0, 0), (-3, 50), (2, 96)], 7, (74, 62, 56))
    for branch in ([(-2, 52), (-22, 74), (-26, 92)], [(0, 66), (20, 86), (24, 106)], [(1, 86), (-12, 110)]):
        tree.stroke(branch, 4, (74, 62, 56))
