"""A report of a scan in a notebook: quality, sentences, structures and lesions; saved also as the files of the analysis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from infra.notebook import Block, Heading, Table
from pipelines.imaging.report import Report
from pipelines.imaging.tables import structure_rows
from pipelines.imaging.wording import confidence, number, place

SUFFIXES = {
    ".pdf": "report.pdf",
    ".nii.gz": "segmentation.nii.gz",
    ".dcm": "segmentation.dcm",
    ".png": "overlay.png",
    ".csv": "statistics.csv",
}


def blocks(report: Report) -> list[Block]:
    """Quality, then the sentences by section, then the tables."""
    shown: list[Block] = [
        Heading(f"Brain MRI report: {report.input.name}"),
        " ".join([f"Scan quality: {report.quality.verdict} ({report.quality.score:.2f}).", *report.quality.reasons]),
    ]
    section = None
    for sentence in report.sentences:
        if sentence.section != section:
            section = sentence.section
            shown.append(Heading(section, 3))
        reason = f" {sentence.reason}" if sentence.reason else ""
        shown.append(f"{sentence.text} [{sentence.support}, confidence {confidence(sentence.confidence)}]{reason}")
    rows = [
        [row.name, row.left_text, row.right_text, row.middle_text, row.asymmetry_text, row.confidence_text]
        for row in structure_rows(report)
    ]
    head = ("Structure", "Left (ml)", "Right (ml)", "Midline (ml)", "Asymmetry", "Confidence")
    shown += [Heading("Volumes", 3), Table(head, rows, numbers=range(1, 6))]
    if report.lesions:
        lesions = [[str(count), one.kind, number(one.volume_ml, "ml"), place(one)] for count, one in enumerate(report.lesions, 1)]
        shown += [Heading("Lesions", 3), Table(("Lesion", "Kind", "Volume (ml)", "Location"), lesions, numbers=(2,))]
    models = ", ".join(f"{model.name} version {model.version}" for model in report.models)
    return [*shown, f"Models: {models or 'none'}. {report.limits}"]


def data(report: Report) -> dict[str, Any]:
    return report.model_dump(mode="json")


def writers(report: Report) -> Mapping[str, Callable[[], bytes]]:
    """The files that the analysis made; none for a report that was read from JSON."""
    return {suffix: (lambda content=report.files[name]: content) for suffix, name in SUFFIXES.items() if name in report.files}
