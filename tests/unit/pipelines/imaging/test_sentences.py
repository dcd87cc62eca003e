"""What the report says, that it stands, and that it is marked where it does not."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pipelines.imaging.labels import LABELS
from pipelines.imaging.lesions import find_lesions
from pipelines.imaging.measure import label_volumes, measure
from pipelines.imaging.report import Lesion, Measurement, ReportQuality, Sentence
from pipelines.imaging.sentences import overall_confidence, what_was_not_looked_at, write_sentences
from pipelines.imaging.verify import verify_sentences
from serving.roles.segmentation import Structure
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
    assert sentences[0].section == "Summary" and summary[1].startswith("Brain volume 1,")
    assert re.fullmatch(r"2 lesions detected, total volume 0\.5\d ml; largest 0\.2\d ml \(periventricular, left\)\.", summary[0])
    text = " ".join(sentence.text for sentence in everything()[0])
    assert "No lesion detected." in text and "Lesion 1" not in text


def test_confidence_is_the_lowest_of_its_measurements_and_they_include_the_scans_quality(with_lesions):
    sentences, measurements, _ = with_lesions
    hippocampus = next(sentence for sentence in sentences if sentence.text.startswith("Hippocampus"))
    assert hippocampus.confidence == pytest.approx(0.6 * 0.9)
    confidence = {item.name: item.confidence for item in measurements}
    for sentence in sentences:
        known = [confidence[name] for name in sentence.measurements if confidence[name] is not None]
        assert sentence.confidence == min(known, default=0.9), sentence.text
    assert any("lowest: left hippocampus" in sentence.text for sentence in sentences)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("1.5", "9.5"), "matches no measurement"),
        (lambda text: text.replace("right larger", "left larger"), "with left larger"),
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
    assert all(item.support == "unsupported" for item in checked if not item.text.startswith("Not found in this scan"))


def test_an_unsupported_sentence_lowers_the_whole():
    fine = Sentence(section="x", text="a.", support="measured", confidence=0.8)
    bad = fine.model_copy(update={"support": "unsupported", "confidence": 0.0})
    assert overall_confidence([fine, fine]) == pytest.approx(0.8)
    assert overall_confidence([fine, bad]) == pytest.approx(0.4)
    assert overall_confidence([]) == 0.0


def test_what_was_not_assessed_is_stated():
    text = " ".join(what_was_not_looked_at(["vlm", "embedding", "entailment"], lesions_found=False))
    assert (
        "Image description not available" in text and "literature search not available" in text and "No comparison with a reference" in text
    )
    text = " ".join(what_was_not_looked_at([], lesions_found=False, lesion_status="not assessed", model_limits=["One.", "Two."]))
    assert "FLAIR is needed" in text and "Limits of the segmentation model: One. Two." in text
    assert "vision-language" not in " ".join(what_was_not_looked_at([], lesions_found=False))


def test_absent_structures_are_named():
    text = " ".join(sentence.text for sentence in everything()[0])
    assert "Not found in this scan" in text and "left putamen" in text


def test_an_empty_segmentation_still_gives_a_report():
    measurements = measure({}, {}, GOOD, [])
    sentences = write_sentences(measurements, [], GOOD)
    assert sentences and verify_sentences(sentences, measurements, measurements, []) == sentences
    assert all(isinstance(item, Measurement) and np.isfinite(item.value) for item in measurements)
    assert len([item for item in measurements if item.label in LABELS]) == len(LABELS)


def test_an_asymmetry_is_an_index_with_the_larger_side(with_lesions):
    sentences, measurements, lesions = with_lesions
    values = {item.name: item.value for item in measurements}
    hippocampus = next(sentence for sentence in sentences if sentence.text.startswith("Hippocampus"))
    index = abs(values["hippocampus asymmetry index"])
    assert hippocampus.text.endswith(f"; asymmetry index {index:.1f} %, right larger.")
    assert "larger on the" not in " ".join(sentence.text for sentence in sentences)
    other = hippocampus.model_copy(update={"text": hippocampus.text.replace(f"index {index:.1f} %", "index 1.5 %")})
    assert verify_sentences([other], measurements, measurements, lesions)[0].support == "unsupported"  # 1.5 is its volume, not its index


def test_the_summary_names_the_largest_asymmetry_of_the_table_also_of_a_small_structure():
    volumes = {label: 10.0 for label in LABELS} | {26: 0.4, 58: 0.6, 11: 10.0, 50: 11.9}
    measurements = measure(volumes, {}, GOOD, [])
    sentences = write_sentences(measurements, [], GOOD)
    text = next(sentence.text for sentence in sentences if sentence.text.startswith("Largest asymmetry"))
    assert text == (
        "Largest asymmetry: accumbens, asymmetry index 40.0 %, right larger; "
        "among structures over 1 ml: caudate, asymmetry index 17.4 %, right larger."
    )
    assert verify_sentences(sentences, measurements, measurements, []) == sentences


def test_of_many_lesions_the_report_says_where_all_are_listed():
    lesion = Lesion(kind="unclear", volume_ml=0.2, center_mm=(0, 0, 0), side="left", zone="deep")
    for count in (10, 11):
        lesions = [lesion] * count
        sentences = write_sentences(measure({2: 200.0, 41: 200.0, 77: 0.2 * count}, {}, GOOD, lesions), lesions, GOOD)
        texts = [sentence.text for sentence in sentences if sentence.section == "Lesions"]
        assert sum(text.startswith("Lesion ") and text[7].isdigit() for text in texts) == 10
        assert any("lesion table lists all 11" in text for text in texts) == (count == 11)


@pytest.mark.parametrize("status", ["not assessed", "candidates"])
def test_without_flair_contrast_nothing_is_called_a_lesion(status):
    volumes = {2: 200.0, 41: 200.0, 3: 250.0, 42: 250.0, 4: 10.0, 43: 10.0} | ({77: 0.6} if status == "candidates" else {})
    lesion = Lesion(kind="unclear", volume_ml=0.3, center_mm=(0, 0, 0), side="left", zone="deep")
    lesions = [lesion, lesion] if status == "candidates" else []
    measurements = measure(volumes, {}, GOOD, lesions, status)
    sentences = write_sentences(measurements, lesions, GOOD, status)
    assert verify_sentences(sentences, measurements, measurements, lesions) == sentences
    texts = [sentence.text for sentence in sentences]
    assert texts[0].startswith("Brain volume") and not any("lesions detected" in text or text.startswith("Lesion ") for text in texts)
    if status == "candidates":
        assert texts[1].startswith("2 lesion candidates, total volume 0.60 ml. Not confirmed as lesions") and "FLAIR" in texts[1]
        assert any(text.startswith("Candidate 1: 0.30 ml") for text in texts)
    else:
        assert texts[1] == "White-matter lesions were not assessed: this scan does not have FLAIR contrast. A FLAIR sequence is needed."
        assert not any("lesion" in item.name for item in measurements)
