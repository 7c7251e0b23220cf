"""The table of the ten settings of synthetic scenes: name to painting function."""

from collections.abc import Callable

from emocap.demo.built_places import paint_city, paint_harbour, paint_room, paint_ruins
from emocap.demo.landscapes import paint_beach, paint_desert, paint_forest, paint_meadow, paint_mountains, paint_snow
from emocap.demo.pen import Pen

SETTINGS: dict[str, Callable[[Pen, str], None]] = {
    "beach": paint_beach,
    "forest": paint_forest,
    "city": paint_city,
    "room": paint_room,
    "mountains": paint_mountains,
    "meadow": paint_meadow,
    "desert": paint_desert,
    "snow": paint_snow,
    "harbour": paint_harbour,
    "ruins": paint_ruins,
}
