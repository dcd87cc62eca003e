"""What the report says, that it stands, and that it is marked where it does not."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pipelines.imaging.labels import LABELS
from pipelines.imaging.lesions import find_lesions
from pipelines.imaging.measure import label_volumes, measure
from pipelines.imaging.report import Measurement, ReportQuality, Sentence
from pipelines.imaging.sentences import overall_confidence, what_was_not_looked_at, write_sentences
from pipelines.imaging.verify import verify_sentences
from serving.contracts import Structure
from tests.heads import grid, head_labels

GOOD = ReportQuality(verdict="good", score=0.9, reasons=[])
NORMS = re.compile(r"enlarg|atroph|normal|dilat|shrunk|shrink|mild|severe|moderate|reduced|increased|widened|patholog", re.IGNORECASE)


def everything(lesions: list | None = None, spacing: float = 2.0):
    shape, affine = grid(spacing)
    labels = head_labels(shape, affine, lesions)
    found = find_lesions(labels, affine)
    volumes = label_volumes(labels, affine)
    structures = {label: Structure(label, volume, volume, 0.6 if label == 17 else 0.9) for label, volume in volumes.items()}
    measurements = measure(volumes, structures, GOOD, found)
    return write_sentences(measurements, found, GOOD), measurements, found


@pytest.fixture(scope="module")
def with_lesions():
    return everything([((-18, -5, 28), 4.0), ((34, 20, 30), 3.5)])


def test_every_sentence_is_measured_and_names_what_it_rests_on(with_lesions):
    sentences, measurements, lesions = with_lesions
    names = {item.name for item in measurements}
    assert len(sentences) > 12
    for sentence in sentences:
        assert sentence.support == "measured" and sentence.measurements and set(sentence.measurements) <= names
        assert 0 <= sentence.confidence <= 0.9 and sentence.text.endswith(".")
        assert not NORMS.search(sentence.text)
    assert verify_sentences(sentences, measurements, measurements, lesions) == sentences


def test_the_summary_comes_first_and_says_the_lesions(with_lesions):
    sentences, _, _ = with_lesions
    summary = [sentence.text for sentence in sentences if sentence.section == "Summary"]
    assert sentences[0].section == "Summary" and summary[0].startswith("The brain measures 1,")
    assert re.fullmatch(r"2 lesions were marked, 0\.5\d ml in all; the largest has 0\.2\d ml \(periventricular, left\)\.", summary[1])
    text = " ".join(sentence.text for sentence in everything()[0])
    assert "No lesion was marked." in text and "Lesion 1" not in text


def test_confidence_is_the_least_of_its_measurements_times_the_scan(with_lesions):
    sentences, _, _ = with_lesions
    hippocampus = next(sentence for sentence in sentences if sentence.text.startswith("Hippocampus"))
    assert hippocampus.confidence == pytest.approx(0.6 * 0.9)
    assert any("least sure are left hippocampus" in sentence.text for sentence in sentences)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("1.5", "9.5"), "is in none of its measurements"),
        (lambda text: text.replace("larger on the right", "larger on the left"), "do not say that the left is larger"),
    ],
)
def test_a_changed_number_or_side_is_marked_unsupported(with_lesions, change, words):
    sentences, measurements, lesions = with_lesions
    hippocampus = next(sentence for sentence in sentences if sentence.text.startswith("Hippocampus"))
    wrong = hippocampus.model_copy(update={"text": change(hippocampus.text)})
    assert wrong.text != hippocampus.text
    [checked] = verify_sentences([wrong], measurements, measurements, lesions)
    assert checked.support == "unsupported" and checked.confidence == 0 and words in (checked.reason or "")
    assert checked.text == wrong.text  # shown, never hidden


def test_a_wrong_zone_a_missing_measurement_and_another_segmentation_are_marked(with_lesions):
    sentences, measurements, lesions = with_lesions
    first = next(sentence for sentence in sentences if sentence.text.startswith("Lesion 1:"))
    wrong = [
        first.model_copy(update={"text": first.text.replace("left", "right")}),
        Sentence(section="x", text="It is.", support="measured", confidence=0.9),
        Sentence(section="x", text="It is.", support="measured", confidence=0.9, measurements=["nothing volume"]),
    ]
    assert all(item.support == "unsupported" and item.reason for item in verify_sentences(wrong, measurements, measurements, lesions))
    other = [item.model_copy(update={"value": item.value * 1.1}) for item in measurements]
    checked = verify_sentences(sentences, measurements, other, lesions)
    assert all(item.support == "unsupported" for item in checked if not item.text.startswith("No voxel was labelled"))


def test_an_unsupported_sentence_lowers_the_whole():
    fine = Sentence(section="x", text="a.", support="measured", confidence=0.8)
    bad = fine.model_copy(update={"support": "unsupported", "confidence": 0.0})
    assert overall_confidence([fine, fine]) == pytest.approx(0.8)
    assert overall_confidence([fine, bad]) == pytest.approx(0.4)
    assert overall_confidence([]) == 0.0


def test_what_nobody_looked_at_is_said():
    text = " ".join(what_was_not_looked_at(["vlm", "embedding", "entailment"], lesions_found=False))
    assert "nobody has looked at the pictures" in text and "no literature was searched" in text and "No reference group" in text
    assert "vision-language" not in " ".join(what_was_not_looked_at([], lesions_found=False))


def test_absent_structures_are_named():
    text = " ".join(sentence.text for sentence in everything()[0])
    assert "No voxel was labelled as" in text and "left putamen" in text


def test_an_empty_segmentation_still_gives_a_report():
    measurements = measure({}, {}, GOOD, [])
    sentences = write_sentences(measurements, [], GOOD)
    assert sentences and verify_sentences(sentences, measurements, measurements, []) == sentences
    assert all(isinstance(item, Measurement) and np.isfinite(item.value) for item in measurements)
    assert len([item for item in measurements if item.label in LABELS]) == len(LABELS)
