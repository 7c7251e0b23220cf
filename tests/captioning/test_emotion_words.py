"""Words that name an emotion: inflections and their rate in captions, by hand."""

import pytest

from emocap.captioning.emotion_words import emotion_word_rate, inflections


@pytest.mark.parametrize(
    ("emotion", "named", "others"),
    [
        ("amazed", "amazed amaze amazing amazingly amazement", "amazon maze"),
        ("anger", "anger angers angered angry angrily", "danger"),
        ("angry", "angry angrily angrier anger", "hungry"),
        ("annoyed", "annoyed annoy annoys annoying annoyance", ""),
        ("awe", "awe awed awesome awestruck", "awful saw away"),
        ("beautiful", "beautiful beautifully beauty beauties", "beau"),
        ("bored", "bored bore boring boredom", "board born"),
        ("calm", "calm calmly calmer calmness calming", "clam"),
        ("concerned", "concerned concern concerns concerning", "concert"),
        ("confused", "confused confusing confusion confuse", "fused"),
        ("curious", "curious curiously curiosity", "curio"),
        ("disgusted", "disgusted disgust disgusting", "gust"),
        ("excited", "excited excitedly exciting excitement", "exit"),
        ("fear", "fear fears feared fearful fearfully", "fearless ear"),
        ("good", "good goodness", "goods goodbye"),
        ("happy", "happy happily happier happiness", "unhappy happen"),
        ("hopeful", "hopeful hopefully hope hopes hoping", "hopeless hop"),
        ("impressed", "impressed impress impressive impressively", "press"),
        ("inspired", "inspired inspiring inspiration inspires", "spire"),
        ("interested", "interested interest interesting", "uninterested"),
        ("intrigued", "intrigued intriguing intrigue", ""),
        ("joy", "joy joys joyful joyfully joyous", "joyless enjoy"),
        ("neutral", "neutral neutrally neutrality", "neuter"),
        ("nostalgic", "nostalgic nostalgia nostalgically", ""),
        ("proud", "proud proudly prouder pride", "shroud"),
        ("sad", "sad sadly sadness sadder saddest saddened", "saddle said"),
        ("scared", "scared scare scary scaring", "scar scars scarred scarce"),
        ("upset", "upset upsets upsetting", "set"),
        ("worried", "worried worry worries worrying worriedly", "wordy"),
        ("serene", "serene serenely", "siren"),
        ("shocked", "shocked shock shocking", "hock"),
        ("loved", "loved love loving", "glove"),
    ],
)
def test_inflections(emotion: str, named: str, others: str) -> None:
    assert inflections(emotion).issuperset(named.split())
    assert inflections(emotion).isdisjoint(others.split())
    assert inflections(emotion.upper()) == inflections(emotion)


def test_emotion_word_rate_by_hand() -> None:
    captions = ["Happily ever after", "An awe-inspiring view!", "The fearless dog", "Sadness's end", "Nothing"]
    assert emotion_word_rate(captions, ["happy", "awe", "fear", "sad", "joy"]) == 3 / 5
    assert emotion_word_rate(captions, ["sad", "inspired", "fear", "happy", "joy"]) == 1 / 5
    own = {"fear": ["fearless"], "sad": ["gloomy"]}
    assert emotion_word_rate(captions, ["happy", "awe", "fear", "sad", "joy"], own) == 3 / 5
    assert emotion_word_rate(["so gloomy", "so sad"], ["sad", "sad"], own) == 1 / 2
