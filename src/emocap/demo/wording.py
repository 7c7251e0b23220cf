"""Captions of synthetic scenes: a small English grammar with a choice of tone, and its parser.

A caption names the subject and, if asked, the setting, and makes one statement in one tone.
"""

import re
from collections.abc import Iterable
from itertools import chain

import numpy as np

from emocap.demo.phrases import ARTICLES, BEINGS, CLOSINGS, FILLERS, NOUNS, OPENINGS, PLACES, PREDICATES
from emocap.demo.scene import Scene

_LETTERS = re.compile(r"[^\W\d_]+")


def _choose(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    return choices[int(rng.integers(len(choices)))]


def _subject(rng: np.random.Generator, subject: str) -> str:
    adjectives, nouns, _ = NOUNS[subject]
    words = " ".join(filter(None, (_choose(rng, adjectives) if rng.random() < 0.7 else "", _choose(rng, nouns))))
    article = _choose(rng, ARTICLES)
    if article == "a" and words[0] in "aeiou":
        article = "an"
    return f"{article} {words}"


def phrasings(tone: str, subject: str) -> tuple[str, ...]:
    """All phrases that express a tone for a subject, without the subject's own words."""
    anything, beings, things = PREDICATES[tone]
    predicates = anything + (beings if subject in BEINGS else things)
    return predicates + OPENINGS[tone] + CLOSINGS[tone]


def read_caption(caption: str) -> tuple[str | None, str | None]:
    """The subject that a caption names, by its longest noun, and its tone; None where there is none.

    This also works on generated captions that `write_caption` could not have written.

    >>> read_caption("The small dog was left alone after the funeral.")
    ('dog', 'mournful')
    """
    words = f" {' '.join(_LETTERS.findall(caption.lower()))} "

    def longest(choices: Iterable[tuple[str, str]]) -> str | None:
        matches = [(len(phrase), name) for name, phrase in choices if f" {phrase} " in words]
        return max(matches)[1] if matches else None

    nouns = ((subject, _plain(noun)) for subject, (_, nouns, _) in NOUNS.items() for noun in nouns)
    phrases = (
        (tone, _plain(phrase.split("{its}")[0]))
        for tone in PREDICATES
        for phrase in (*chain(*PREDICATES[tone]), *OPENINGS[tone], *CLOSINGS[tone])
    )
    return longest(nouns), longest(phrases)


def _plain(phrase: str) -> str:
    return " ".join(_LETTERS.findall(phrase.lower()))


def write_caption(rng: np.random.Generator, scene: Scene) -> str:
    """One caption of 6 to 22 English words in the scene's tone; it does not mention light, colours or event."""
    subject = _subject(rng, scene.subject)
    place = _choose(rng, PLACES[scene.setting]) if scene.names_setting else ""
    anything, beings, things = PREDICATES[scene.tone]
    predicate = _choose(rng, anything + (beings if scene.subject in BEINGS else things))
    predicate = predicate.replace("{its}", NOUNS[scene.subject][2])
    opening, closing = _choose(rng, OPENINGS[scene.tone]), _choose(rng, CLOSINGS[scene.tone])
    filler = _choose(rng, FILLERS)
    form = rng.random()
    if form < 0.45:
        parts, ending = [subject, place, predicate], ""
    elif form < 0.62:
        parts, ending = [opening, subject, place, predicate], ""
    elif form < 0.85:
        parts, ending = [subject, place, filler], f", {closing}"
    else:
        parts, ending = [opening, subject, place or filler], f", {closing}"
    if parts[0].endswith(("!", "?")):
        parts[1] = parts[1].capitalize()
    text = " ".join(filter(None, parts)) + ending
    text = text[0].upper() + text[1:]
    return text if rng.random() < 0.5 else text + "."
