"""The text that is searched is folded; its offsets lead back to the text as it stands."""

from __future__ import annotations

import pytest

from knowledge.chunking import embedding_text
from knowledge.chunking.folding import fold, folded
from knowledge.index.lexical import plain_words
from knowledge.reading.plain import decode


@pytest.mark.parametrize(
    ("text", "searched"),
    [
        ("Die Zweig\u00adnieder\u00adlassung", "Die Zweigniederlassung"),
        ("the sup\u00ad\nplier", "the supplier"),
        ("the sup-\nplier must", "the supplier must"),
        ("Anglo-\nAmerican", "Anglo-\nAmerican"),
        ("1990-\n1995", "1990-\n1995"),
        ("ﬁnal oﬃce", "final office"),
        ("Ｆｕｌｌ ｗｉｄｔｈ", "Full width"),
        ("10⁶ records", "10^6 records"),
        ("CO₂", "CO2"),
        ("Cafe\u0301", "Café"),
        ("plain - text", "plain - text"),
    ],
)
def test_what_is_searched(text: str, searched: str):
    assert folded(text) == searched and embedding_text(None, "", text) == searched


def test_offsets_lead_back():
    text = "Zü\u00adrich, ﬁrst oﬃ\u00adce sup-\nplier 10⁶ end"
    found = fold(text)
    for word, first in (("first", "ﬁrst"), ("supplier", "sup-"), ("end", "end"), ("10", "10⁶")):
        assert text.startswith(first, found.origin(found.text.index(word)))
    assert found.origin(len(found.text)) == len(text)


def test_questions_are_folded_too():
    assert plain_words("Zweig\u00adnieder\u00adlassung oﬃce") == "zweigniederlassung office"


@pytest.mark.parametrize("text", ["Prüfung", "naïve", "Größe: 5 €", "“Duty” – 30 days", "Señor Núñez"])
def test_short_texts_of_western_windows(text: str):
    read, warning = decode(text.encode("cp1252"))
    assert read == text and warning is not None and "cp1252" in warning


def test_other_alphabets_are_still_guessed():
    text = "Поставщик обязан удалить персональные данные в течение тридцати дней после окончания договора. " * 3
    assert decode(text.encode("cp1251"))[0] == text
