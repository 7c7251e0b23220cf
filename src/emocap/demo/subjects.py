"""The table of the twenty subjects of synthetic scenes: name to drawing function."""

from collections.abc import Callable

from emocap.demo.animals import draw_bird, draw_cat, draw_dog, draw_horse, draw_snake, draw_spider
from emocap.demo.objects import (
    draw_balloon,
    draw_bench,
    draw_bicycle,
    draw_boat,
    draw_car,
    draw_house,
    draw_rubbish,
    draw_sunflower,
    draw_teddy,
    draw_tree,
)
from emocap.demo.pen import Pen
from emocap.demo.people import draw_child, draw_couple, draw_old_man, draw_robot

SUBJECTS: dict[str, Callable[[Pen], None]] = {
    "dog": draw_dog,
    "cat": draw_cat,
    "child": draw_child,
    "couple": draw_couple,
    "old man": draw_old_man,
    "bird": draw_bird,
    "horse": draw_horse,
    "snake": draw_snake,
    "spider": draw_spider,
    "robot": draw_robot,
    "boat": draw_boat,
    "car": draw_car,
    "bicycle": draw_bicycle,
    "house": draw_house,
    "tree": draw_tree,
    "sunflower": draw_sunflower,
    "teddy bear": draw_teddy,
    "bench": draw_bench,
    "rubbish": draw_rubbish,
    "hot-air balloon": draw_balloon,
}
