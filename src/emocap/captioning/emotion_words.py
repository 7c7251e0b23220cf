"""Which words name an emotion, and how often captions contain them."""

import re
from collections.abc import Collection, Mapping, Sequence

from emocap.captioning.tokenization import tokenize_all

_SHORT = re.compile("[^aeiou]*[aeiou][^aeiouwxy]")
_SUFFIXES = ("", "s", "ed", "edly", "ing", "ingly", "er", "est", "ly", "ness", "ful", "fully", "ment")
_IRREGULAR = {
    "anger": "angry angrily angrier angriest",
    "angry": "anger angers angered angering",
    "annoyed": "annoyance annoyances",
    "awe": "awesome awestruck",
    "bored": "boredom",
    "confused": "confusion",
    "curious": "curiosity",
    "impressed": "impressive impressively",
    "inspired": "inspiration inspirational",
    "joy": "joyous joyously",
    "neutral": "neutrality",
    "nostalgic": "nostalgia",
    "proud": "pride",
    "sad": "sadden saddens saddened saddening",
    "scared": "scary scarier scariest",
    "upset": "upsetting upsettingly",
    "worried": "worrisome",
}


def emotion_word_rate(
    captions: Sequence[str], emotions: Sequence[str], forms: Mapping[str, Collection[str]] | None = None
) -> float:
    """Share of the captions that contain the word of their requested emotion, or an inflection of it.

    Whole words count, as do the parts of hyphenated words ("awe-struck") and negated words ("not happy").

    Args:
        captions: N captions.
        emotions: N emotions, one word each.
        forms: for some emotions, the lower-case words that name them, used in place of `inflections`.

    Raises:
        ValueError: no caption, or different lengths.

    >>> emotion_word_rate(["a sadly lit room", "an unhappy man"], ["sad", "happy"])
    0.5
    """
    tokens = tokenize_all(captions)
    if len(tokens) != len(emotions):
        raise ValueError(f"{len(tokens)} captions but {len(emotions)} emotions, expected one each")
    words_of = {emotion: inflections(emotion) for emotion in emotions} | dict(forms or {})
    word_sets = [{part for word in caption for part in (word, *word.split("-"))} for caption in tokens]
    hits = (not own.isdisjoint(words_of[emotion]) for own, emotion in zip(word_sets, emotions, strict=True))
    return sum(hits) / len(tokens)


def inflections(emotion: str) -> frozenset[str]:
    """The words that name an emotion: itself, its stems with English endings, and irregular forms for Socratis' 29.

    The stem of a word in -ed is the word without that ending, with and without an e. A word in -ful has the part before
    -ful as a second stem, a word in -ic the word with -al. The endings are those of verbs and adjectives, -ly, -ness,
    -ful and -ment, never -less. Some generated forms are not words.

    >>> sorted(inflections("sad") & {"sad", "sadder", "sadly", "sadness", "saddened", "saddle"})
    ['sad', 'saddened', 'sadder', 'sadly', 'sadness']
    """
    word = emotion.lower()
    stems = {word}
    if word.endswith("ed"):
        # A short syllable would have doubled its consonant: "scared" comes from "scare", never from "scar".
        stems = {word[:-1]} if _SHORT.fullmatch(word[:-2]) else {word[:-1], re.sub("i$", "y", word[:-2])}
    elif word.endswith("ful"):
        stems |= {re.sub("i$", "y", word[:-3])}
    elif word.endswith("ic"):
        stems |= {word + "al"}
    regular = {_with_suffix(stem, suffix) for stem in stems for suffix in _SUFFIXES}
    return frozenset({word, *regular, *_IRREGULAR.get(word, "").split()} - {"goods"})


def _with_suffix(stem: str, suffix: str) -> str:
    if suffix == "s" and re.search("(?:s|x|z|ch|sh)$", stem):
        return stem + "es"
    if re.search("[^aeiou]y$", stem) and suffix and suffix[0] != "i":
        return stem[:-1] + ("ies" if suffix == "s" else "i" + suffix)
    if suffix[:1] in ("e", "i"):
        return (stem + stem[-1] if _SHORT.fullmatch(stem) else stem.removesuffix("e")) + suffix
    return stem + suffix
