"""A report as HTML: the finding with its quality and confidence, sentences with their evidence, tables, models and times."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from infra.database.tables import AnalysisJob
from pipelines.imaging.labels import LESION
from pipelines.imaging.tables import StructureRow, find_measurements
from pipelines.imaging.wording import amount, confidence
from pipelines.imaging.wording import number as volume
from workbench.services.structures import structure
from workbench.ui.shared.cards import model_words, role_name
from workbench.ui.shared.formatting import capital, duration, escape, moment, said
from workbench.ui.shared.shell import chip, panel

if TYPE_CHECKING:
    from pipelines.imaging.report import Measurement, Passage, Report, Sentence

FIRST = ("summary", "impression")
_LESION = re.compile(r"lesion (\d+) volume")
_FILES = (
    ("report.pdf", "Report (PDF)"),
    ("segmentation.nii.gz", "Segmentation"),
    ("segmentation.dcm", "DICOM SEG"),
    ("report.json", "JSON"),
    ("statistics.csv", "CSV"),
)


def title_html(job: AnalysisJob, report: Report | None, files: list[str], seconds: float | None) -> str:
    """The scan's name, format and downloads."""
    facts: list[str] = []
    if report:
        scan = report.input
        facts += [
            escape(scan.format),
            f"{' × '.join(str(n) for n in scan.shape)} voxels",
            f"{' × '.join(f'{mm:.2f}'.rstrip('0').rstrip('.') for mm in scan.spacing_mm)} mm",
            f'<span title="Orientation of the voxel axes">{escape(scan.orientation)}</span>',
        ]
    when = job.finished_at or job.created_at
    ended = {"done": "analysed", "failed": "failed", "cancelled": "cancelled"}.get(job.state, "submitted")
    facts.append(f"{ended} {moment(when)}" + (f" in {duration(seconds)}" if job.state == "done" and seconds else ""))
    first = " first"
    links = "".join(
        f'<a class="wb-button{first if name == "report.pdf" else ""}" href="/imaging/analysis/{job.id}/files/{name}" download>{label}</a>'
        for name, label in _FILES
        if name in files
    )
    return (
        f'<div class="wb-title"><div><a class="wb-back" href="/imaging">New analysis</a><h1>{escape(job.title)}</h1>'
        f'<p class="wb-quiet">{" · ".join(facts)}</p></div><div class="wb-downloads">{links}</div></div>'
    )


def finding_html(report: Report) -> str:
    """The finding, with quality and confidence."""
    first = [s for s in report.sentences if s.section.lower() in FIRST] or [s for s in report.sentences if s.support == "measured"][:1]
    finding = " ".join(said(s.text) for s in first) or "No measurements."
    quality = report.quality
    kind = "good" if quality.verdict == "good" else "limited"
    left_out = len(report.not_looked_at)
    reasons = " ".join(escape(reason) for reason in quality.reasons)
    missing = (
        f'<div><dt>Not assessed</dt><dd><a href="#left-out"><b>{left_out}</b> {"item" if left_out == 1 else "items"}</a></dd></div>'
        if left_out
        else ""
    )
    # Where the quality is limited, that is read before the numbers.
    warning = f'<p class="wb-note limited"><strong>Limited quality.</strong> {reasons}</p>' if quality.verdict != "good" else ""
    return (
        f'<section class="wb-card wb-finding">{warning}<p class="wb-said">{finding}</p><dl class="wb-sure">'
        f"<div><dt>Quality</dt><dd>{chip(capital(quality.verdict), kind)} <b>{confidence(quality.score)}</b></dd></div>"
        '<div title="Mean confidence of all sentences, 0 to 1"><dt>Confidence</dt>'
        f"<dd><b>{confidence(report.confidence)}</b></dd></div>"
        f"{missing}</dl>{f'<p class=wb-quiet>{reasons}</p>' if reasons and not warning else ''}</section>"
    )


def viewer_html(job_id: str) -> str:
    title = "Scan and labels in three planes and in 3D"
    return f'<iframe class="wb-viewer" id="viewer" src="/viewer/{job_id}" title="{title}" loading="eager" allow="fullscreen"></iframe>'


def sentences_html(report: Report) -> str:
    """The report's sentences by section; each opens its evidence."""
    parts: list[str] = []
    section = None
    for sentence in report.sentences:
        if sentence.section != section:
            section = sentence.section
            parts.append(f"<h3>{escape(capital(section))}</h3>")
        parts.append(_sentence(report, sentence))
    if report.not_looked_at:
        items = "".join(f"<li>{escape(text)}</li>" for text in report.not_looked_at)
        parts.append(f'<h3 id="left-out">Not assessed</h3><ul class="wb-reasons">{items}</ul>')
    hint = '<p class="wb-quiet wb-hint">Open a sentence to see its evidence.</p>'
    return panel("Report", hint + "".join(parts))


def _sentence(report: Report, sentence: Sentence) -> str:
    found = find_measurements(report, sentence.measurements)
    sure = f'<p class="wb-quiet">Confidence {confidence(sentence.confidence)}.</p>' if sentence.confidence is not None else ""
    reason = f"<p>{escape(sentence.reason)}</p>" if sentence.reason else ""
    body = "".join(_measurement(m, report) for m in found) + "".join(_passage(p) for p in sentence.passages) + reason + sure
    if not body:
        body = '<p class="wb-quiet">Read from the image file.</p>'
    support = sentence.support
    return (
        f'<details class="wb-sentence"><summary><span>{said(sentence.text)}</span><em class="{support}">{support}</em></summary>'
        f'<div class="wb-evidence">{body}</div></details>'
    )


def _measurement(measurement: Measurement, report: Report) -> str:
    label = measurement.label
    show = ""
    swatch = ""
    if label:
        info = structure(label)
        swatch = f'<i class="wb-swatch" style="background:{info.colour}"></i>'
        show = f'<button type="button" class="wb-button small" data-show="{label}">Show in viewer</button>'
    elif (lesion := _LESION.fullmatch(measurement.name)) and int(lesion[1]) <= len(report.lesions):
        place = ",".join(f"{mm:.1f}" for mm in report.lesions[int(lesion[1]) - 1].center_mm)
        show = f'<button type="button" class="wb-button small" data-show="{LESION}" data-mm="{place}">Show in viewer</button>'
    where = f"<dt>Label</dt><dd>{label}</dd>" if label else ""
    sure = f"<dt>Confidence</dt><dd>{confidence(measurement.confidence)}</dd>" if measurement.confidence is not None else ""
    facts = f'<div class="wb-facts"><dl>{where}{sure}</dl>{show}</div>' if where or sure or show else ""
    return (
        f'<div class="wb-measure"><div class="wb-measure-head">{swatch}<b>{escape(capital(measurement.name))}</b>'
        f'<span class="wb-number">{said(amount(measurement))}</span></div>'
        f"<p>{escape(measurement.definition)}</p>{facts}</div>"
    )


def _passage(passage: Passage) -> str:
    page = f", page {passage.page}" if passage.page else ""
    sure = f", entailment {confidence(passage.entailed)}" if passage.entailed is not None else ""
    return f"<blockquote>{escape(passage.text)}<cite>{escape(passage.title or passage.document)}{page}{sure}</cite></blockquote>"


def volumes_html(rows: list[StructureRow]) -> str:
    """Volumes left and right with asymmetry index and confidence; a row shows its structure in the viewer."""
    body = "".join(_volume_row(row) for row in rows)
    table = (
        '<div class="wb-scroll"><table class="wb-table wb-volumes"><thead><tr><th>Structure</th><th>Left, ml</th><th>Right, ml</th>'
        '<th title="(Left − right) / mean of both; L or R is the larger side">Asymmetry index</th><th>Confidence</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
    return panel("Volumes", table)


def _volume_row(row: StructureRow) -> str:
    sides = (
        f"<td>{row.left_text or '–'}</td><td>{row.right_text or '–'}</td>"
        if row.middle is None
        else f'<td colspan="2" class="wb-both">{row.middle_text}</td>'
    )
    labels = ",".join(str(label) for label in row.labels)
    name = escape(capital(row.name))
    return (
        f'<tr><th scope="row"><button type="button" class="wb-row" data-show="{labels}" title="Show {name} in viewer">'
        f'<i class="wb-swatch" style="background:{structure(row.labels[0]).colour}"></i>{name}</button></th>{sides}'
        f"<td>{said(row.asymmetry_text)}</td><td>{row.confidence_text}</td></tr>"
    )


def lesions_html(report: Report) -> str:
    """Every lesion, largest first; a row leads to it in the viewer. Nothing where there is none."""
    if not report.lesions:
        return ""
    rows = ""
    for place, lesion in enumerate(report.lesions, 1):
        centre = ",".join(f"{mm:.1f}" for mm in lesion.center_mm)
        found = find_measurements(report, [f"lesion {place} volume"])
        sure = confidence(found[0].confidence if found else None)
        rows += (
            f'<tr><th scope="row"><button type="button" class="wb-row" data-show="{LESION}" data-mm="{centre}" '
            f'title="Show lesion {place} in viewer"><i class="wb-swatch" style="background:{structure(LESION).colour}"></i>'
            f"Lesion {place}</button></th><td>{volume(lesion.volume_ml, 'ml')}</td><td>{escape(lesion.side or 'midline or bilateral')}</td>"
            f"<td>{escape(lesion.zone or 'undetermined')}</td><td>{sure}</td></tr>"
        )
    table = (
        '<div class="wb-scroll wb-long" tabindex="0" role="region" aria-label="All lesions"><table class="wb-table wb-volumes"><thead><tr>'
        "<th>Lesion</th><th>Volume, ml</th><th>Side</th><th>Zone</th><th>Confidence</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )
    title = "Lesion candidates" if report.lesion_status == "candidates" else "Lesions"
    return panel(f"{title} ({len(report.lesions)})", table)


def made_html(report: Report, stage_titles: dict[str, str]) -> str:
    """Model versions and processing times."""
    models = "".join(
        f"<tr><th scope=row>{role_name(m.role)}</th><td>{model_words(m.name, m.version, m.backend, m.device)}"
        f'<small>weights SHA-256 <span class="wb-code" title="sha256: {escape(m.digest)}">{escape(m.digest[:12])}</span></small></td></tr>'
        for m in report.models
    )
    models_table = f'<table class="wb-table wb-roles"><tbody>{models}</tbody></table>'
    whole = {name: seconds for name, seconds in report.seconds.items() if "." not in name}
    total = sum(whole.values()) or 1.0
    times = "".join(
        _time(stage_titles.get(name, capital(name)), seconds, total) + _parts(report, name, total) for name, seconds in whole.items()
    )
    times_list = f'<ul class="wb-times">{times}</ul>'
    return f'<div class="wb-stack">{panel("Models", models_table)}{panel("Processing time", times_list)}</div>'


def _time(title: str, seconds: float, total: float) -> str:
    share = max(0.5, 100 * seconds / total)
    return (
        f'<li><span>{escape(title)}</span><i><b style="width:{share:.1f}%"></b></i><span class="wb-number">{duration(seconds)}</span></li>'
    )


def _parts(report: Report, stage: str, total: float) -> str:
    """The parts of a stage, folded."""
    inside = {name.partition(".")[2]: seconds for name, seconds in report.seconds.items() if name.startswith(f"{stage}.")}
    if not inside:
        return ""
    rows = "".join(_time(capital(name), seconds, total) for name, seconds in inside.items())
    return f"<li class=wb-parts><details><summary>Details</summary><ul class=wb-times>{rows}</ul></details></li>"
