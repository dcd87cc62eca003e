"""A study as HTML: the lesions of one visit first, then which sequence shows each, how the sequences were moved, and the limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.imaging.study.report import placement
from pipelines.imaging.wording import place as place_of
from workbench.services.cohort_study import REPORT, SEGMENTATION, StudyState
from workbench.ui.words import capital, escape, number, said

if TYPE_CHECKING:
    from pipelines.imaging.study import Study
    from pipelines.imaging.study.report import StudyLesion

_FILES = ((SEGMENTATION, "Segmentation of the visit"), (REPORT, "Study (JSON)"))


def study_html(cohort_id: str, state: StudyState, study: Study | None) -> str:
    """Where the study stands; ``study`` is what it found, where it is done."""
    if state.error is not None:
        return (
            '<section class="wb-card wb-study"><h2>The sequences together</h2><div class="wb-note bad" role="alert">'
            f"<strong>They could not be brought together.</strong> {said(state.error.message)}</div>"
            '<p class="wb-quiet wb-after">The results of the single scans below stand.</p></section>'
        )
    if study is None:
        told = (
            "The sequences are being laid over each other. This takes some seconds each."
            if state.state == "merging"
            else "When every scan is analysed, the sequences are laid over each other, and each lesion is told once."
        )
        return (
            f'<section class="wb-card wb-study" aria-live="polite"><h2>The sequences together</h2><p class="wb-quiet">{told}</p></section>'
        )
    links = "".join(
        f'<a class="wb-button small" href="/imaging/cohorts/{cohort_id}/files/{name}" download>{label}</a>' for name, label in _FILES
    )
    notes = "".join(f"<p>{said(note)}</p>" for note in study.notes)
    warning = f'<div class="wb-note limited"><strong>Read this first.</strong>{notes}</div>' if notes else ""
    places = "".join(f"<li>{said(placement(sequence, study.reference))}</li>" for sequence in study.sequences)
    return (
        '<section class="wb-card wb-study"><div class="wb-card-head"><h2>The sequences together</h2>'
        f'<div class="wb-downloads">{links}</div></div>{warning}<p class="wb-said">{said(study.sentences[0])}</p>'
        f"{_lesions(study)}<h3>How the sequences were laid over each other</h3>"
        f'<ul class="wb-reasons">{places}</ul><p class="wb-quiet wb-after">{said(study.limits)}</p></section>'
    )


def _lesions(study: Study) -> str:
    """One row a lesion, one column a sequence; the sentences stand folded below, in the same order."""
    if not study.lesions:
        return ""
    names = "".join(
        f'<th><a href="/imaging?job={escape(sequence.report.job)}">{escape(sequence.name)}</a></th>' for sequence in study.sequences
    )
    rows = "".join(_row(place, lesion, study) for place, lesion in enumerate(study.lesions, 1))
    sentences = "".join(f"<li>{said(text)}</li>" for text in study.sentences[1:])
    return (
        f'<div class="wb-scroll"><table class="wb-table wb-volumes wb-shown"><thead><tr><th>Lesion</th><th>Volume</th>{names}'
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
        '<p class="wb-quiet wb-after">Millilitres. Volume: of all voxels that any sequence marks. Below a sequence: how much of the lesion '
        "that one marks; a dash where it does not show it.</p>"
        f'<details class="wb-folded"><summary>In words</summary><ul class="wb-reasons">{sentences}</ul></details>'
    )


def _row(place: int, lesion: StudyLesion, study: Study) -> str:
    shown = "".join(
        f"<td>{number(lesion.shown_by[sequence.name], digits=2)}</td>"
        if sequence.name in lesion.shown_by
        else f'<td title="not shown by {escape(sequence.name)}">–</td>'
        for sequence in study.sequences
    )
    where = capital(place_of(lesion))
    return (
        f'<tr><th scope="row">{place}<small>{escape(where)}; kind {escape(lesion.kind)}</small></th>'
        f"<td>{number(lesion.volume_ml, digits=2)}</td>{shown}</tr>"
    )
