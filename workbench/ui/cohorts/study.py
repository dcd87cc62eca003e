"""A study as HTML: the lesions of one visit, the sequences that show each, the registration, and the limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.imaging.study.report import placement
from pipelines.imaging.wording import number as volume
from pipelines.imaging.wording import place as place_of
from workbench.services.cohort_study import REPORT, SEGMENTATION, StudyState
from workbench.ui.shared.formatting import capital, escape, said

if TYPE_CHECKING:
    from pipelines.imaging.study import Study
    from pipelines.imaging.study.report import StudyLesion

_FILES = ((SEGMENTATION, "Segmentation of the visit"), (REPORT, "Study (JSON)"))


def study_html(cohort_id: str, state: StudyState, study: Study | None) -> str:
    """The study's state, and its findings where it is done."""
    if state.error is not None:
        return (
            '<section class="wb-card wb-study"><h2>Multi-sequence study</h2><div class="wb-note bad" role="alert">'
            f"<strong>Registration failed.</strong> {said(state.error.message)}</div>"
            '<p class="wb-quiet wb-after">The results of the single scans below are not affected.</p></section>'
        )
    if study is None:
        told = (
            "Co-registering the sequences. This takes a few seconds each."
            if state.state == "merging"
            else "Waiting for all scans. Then the sequences are co-registered and lesions reported once."
        )
        return f'<section class="wb-card wb-study" aria-live="polite"><h2>Multi-sequence study</h2><p class="wb-quiet">{told}</p></section>'
    links = "".join(
        f'<a class="wb-button small" href="/imaging/cohorts/{cohort_id}/files/{name}" download>{label}</a>' for name, label in _FILES
    )
    notes = "".join(f"<p>{said(note)}</p>" for note in study.notes)
    warning = f'<div class="wb-note limited"><strong>Notes</strong>{notes}</div>' if notes else ""
    places = "".join(f"<li>{said(placement(sequence, study.reference))}</li>" for sequence in study.sequences)
    return (
        '<section class="wb-card wb-study"><div class="wb-card-head"><h2>Multi-sequence study</h2>'
        f'<div class="wb-downloads">{links}</div></div>{warning}<p class="wb-said">{said(study.sentences[0])}</p>'
        f"{_lesions(study)}<h3>Registration</h3>"
        f'<ul class="wb-reasons">{places}</ul><p class="wb-quiet wb-after">{said(study.limits)}</p></section>'
    )


def _lesions(study: Study) -> str:
    """One row a lesion, one column a sequence; the sentences folded below."""
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
        '<p class="wb-quiet wb-after">Volumes in ml. Volume: union over all sequences. Below a sequence: the part segmented in it; '
        "a dash where the lesion is not visible.</p>"
        f'<details class="wb-folded"><summary>As text</summary><ul class="wb-reasons">{sentences}</ul></details>'
    )


def _row(place: int, lesion: StudyLesion, study: Study) -> str:
    shown = "".join(
        f"<td>{volume(lesion.shown_by[sequence.name], 'ml')}</td>"
        if sequence.name in lesion.shown_by
        else f'<td title="not visible in {escape(sequence.name)}">–</td>'
        for sequence in study.sequences
    )
    where = capital(place_of(lesion))
    kind = "" if lesion.kind == "unclear" else f", {escape(lesion.kind)}"
    return f'<tr><th scope="row">{place}<small>{escape(where)}{kind}</small></th><td>{volume(lesion.volume_ml, "ml")}</td>{shown}</tr>'
