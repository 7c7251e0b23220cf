"""A synthetic scene: its subject, setting, light, colour grade, event, and the tone of its caption.

The image shows the first five factors. The caption names the subject and, half the time, the setting, and has the tone,
which the image does not show. Light, grade and event are never named in a caption.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

SUBJECTS = (
    "dog", "cat", "child", "couple", "old man", "bird", "horse", "snake", "spider", "robot",
    "boat", "car", "bicycle", "house", "tree", "sunflower", "teddy bear", "bench", "rubbish", "hot-air balloon",
)  # fmt: skip
SETTINGS = ("beach", "forest", "city", "room", "mountains", "meadow", "desert", "snow", "harbour", "ruins")
LIGHTS = {"day": 0.36, "sunset": 0.18, "night": 0.18, "storm": 0.15, "fog": 0.13}
GRADES = {"natural": 0.32, "warm": 0.18, "cold": 0.16, "faded": 0.16, "vivid": 0.18}
EVENTS = {
    "none": 0.44, "balloons": 0.09, "cake": 0.08, "rainbow": 0.08, "fire": 0.08, "flood": 0.07, "wreckage": 0.08,
    "ufo": 0.08,
}  # fmt: skip
TONES = {
    "celebrating": 0.10, "mournful": 0.08, "alarming": 0.06, "funny": 0.06, "puzzling": 0.08, "plain": 0.07,
    "hopeful": 0.06, "outraged": 0.07, "triumphant": 0.07, "remembering": 0.05, "revolting": 0.05, "dull": 0.05,
    "wondering": 0.06, "peaceful": 0.06, "frightening": 0.04, "grumbling": 0.04,
}  # fmt: skip
# Web captions are plainer in tone and beaches are common: a modest shift between source and target.
SOURCE_TONES = {**TONES, "plain": 0.18, "funny": 0.10, "outraged": 0.05, "mournful": 0.06}
SOURCE_SETTINGS = {setting: 2.0 if setting in ("beach", "city", "room") else 1.0 for setting in SETTINGS}
NAMES_SETTING = 0.5
NOT_IN_ROOMS = {"horse", "boat", "car", "house", "tree", "hot-air balloon"}
NOT_IN_ROOMS_EVENTS = {"rainbow", "ufo"}


@dataclass(frozen=True)
class Scene:
    """One image and one way to caption it; every field but the last is a value of its factor."""

    subject: str
    setting: str
    light: str
    grade: str
    event: str
    tone: str
    names_setting: bool

    @property
    def visible(self) -> tuple[str, str, str, str, str]:
        """The factors that the image shows: subject, setting, light, grade, event."""
        return self.subject, self.setting, self.light, self.grade, self.event


def pick(rng: np.random.Generator, weights: dict[str, float]) -> str:
    """One key, with probability proportional to its weight."""
    edges = np.cumsum(list(weights.values()))
    return list(weights)[int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))]


def settings_of(subject: str, weights: dict[str, float] | None = None) -> dict[str, float]:
    """The settings of a subject, with probabilities that sum to 1."""
    weights = weights or dict.fromkeys(SETTINGS, 1.0)
    allowed = {name: weight for name, weight in weights.items() if name != "room" or subject not in NOT_IN_ROOMS}
    total = sum(allowed.values())
    return {name: weight / total for name, weight in allowed.items()}


def events_of(setting: str) -> dict[str, float]:
    """The events in a setting, with probabilities that sum to 1; there are none in the sky indoors."""
    allowed = {name: p for name, p in EVENTS.items() if setting != "room" or name not in NOT_IN_ROOMS_EVENTS}
    total = sum(allowed.values())
    return {name: p / total for name, p in allowed.items()}


def sample_scene(rng: np.random.Generator, *, source: bool = False) -> Scene:
    """Draw a scene from the distribution of the target corpus, or from the slightly different source."""
    subject = SUBJECTS[int(rng.integers(len(SUBJECTS)))]
    setting = pick(rng, settings_of(subject, SOURCE_SETTINGS if source else None))
    return Scene(
        subject,
        setting,
        pick(rng, LIGHTS),
        pick(rng, GRADES),
        pick(rng, events_of(setting)),
        pick(rng, SOURCE_TONES if source else TONES),
        bool(rng.random() < NAMES_SETTING),
    )


def image_combinations(
    subject: str, setting: str | None = None
) -> tuple[list[tuple[str, str, str, str, str]], np.ndarray]:
    """All C combinations of visible factors of a subject, in one setting or any, and their (C,) target shares."""
    places = settings_of(subject) if setting is None else {setting: 1.0}
    combinations, probabilities = [], []
    for place, p_place in places.items():
        for (light, p_light), (grade, p_grade), (event, p_event) in product(
            LIGHTS.items(), GRADES.items(), events_of(place).items()
        ):
            combinations.append((subject, place, light, grade, event))
            probabilities.append(p_place * p_light * p_grade * p_event)
    p = np.array(probabilities)
    return combinations, p / p.sum()
