"""A report as HTML: the finding first, how sure it is, each sentence with what it rests on, and who made it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from infra.database.tables import AnalysisJob
from pipelines.imaging.labels import LESION
from workbench.services.structures import structure
from workbench.services.volumes import VolumeRow, find_measurements
from workbench.ui.cards import model_words, role_name
from workbench.ui.shell import chip, panel
from workbench.ui.words import capital, duration, escape, moment, number, percent, said

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
    """The scan's name, what it is, and what can be downloaded."""
    facts: list[str] = []
    if report:
        scan = report.input
        facts += [
            escape(scan.format),
            f"{' × '.join(str(n) for n in scan.shape)} voxels",
            f"{' × '.join(f'{mm:.2f}'.rstrip('0').rstrip('.') for mm in scan.spacing_mm)} mm",
            f'<span title="Which way the voxel axes point">{escape(scan.orientation)}</span>',
        ]
    when = job.finished_at or job.created_at
    ended = {"done": "finished", "failed": "failed", "cancelled": "cancelled"}.get(job.state, "sent")
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
    """The finding, and how sure it is."""
    first = [s for s in report.sentences if s.section.lower() in FIRST] or [s for s in report.sentences if s.support == "measured"][:1]
    finding = " ".join(said(s.text) for s in first) or "Nothing was measured."
    quality = report.quality
    kind = "good" if quality.verdict == "good" else "limited"
    left_out = len(report.not_looked_at)
    reasons = " ".join(escape(reason) for reason in quality.reasons)
    missing = (
        f'<div><dt>Not looked at</dt><dd><a href="#left-out"><b>{left_out}</b> {"point" if left_out == 1 else "points"}</a></dd></div>'
        if left_out
        else ""
    )
    # Where the quality is limited, that is read before the numbers.
    warning = f'<p class="wb-note limited"><strong>Limited quality.</strong> {reasons}</p>' if quality.verdict != "good" else ""
    return (
        f'<section class="wb-card wb-finding">{warning}<p class="wb-said">{finding}</p><dl class="wb-sure">'
        f"<div><dt>Quality</dt><dd>{chip(capital(quality.verdict), kind)} <b>{quality.score:.2f}</b></dd></div>"
        '<div title="Computed from the evidence behind each sentence, 0 to 1"><dt>Confidence</dt>'
        f"<dd><b>{report.confidence:.2f}</b></dd></div>"
        f"{missing}</dl>{f'<p class=wb-quiet>{reasons}</p>' if reasons and not warning else ''}</section>"
    )


def viewer_html(job_id: str) -> str:
    title = "The scan and its labels in three planes and in 3D"
    return f'<iframe class="wb-viewer" id="viewer" src="/viewer/{job_id}" title="{title}" loading="eager"></iframe>'


def sentences_html(report: Report) -> str:
    """The report's sentences by section; each opens what it rests on."""
    parts: list[str] = []
    section = None
    for sentence in report.sentences:
        if sentence.section != section:
            section = sentence.section
            parts.append(f"<h3>{escape(capital(section))}</h3>")
        parts.append(_sentence(report, sentence))
    if report.not_looked_at:
        items = "".join(f"<li>{escape(text)}</li>" for text in report.not_looked_at)
        parts.append(f'<h3 id="left-out">Not looked at</h3><ul class="wb-reasons">{items}</ul>')
    hint = '<p class="wb-quiet wb-hint">Open a sentence to see what it rests on.</p>'
    return panel("Report", hint + "".join(parts))


def _sentence(report: Report, sentence: Sentence) -> str:
    found = find_measurements(report, sentence.measurements)
    sure = f'<p class="wb-quiet">Confidence {sentence.confidence:.2f} of 1.</p>' if sentence.confidence is not None else ""
    reason = f"<p>{escape(sentence.reason)}</p>" if sentence.reason else ""
    body = "".join(_measurement(m, report) for m in found) + "".join(_passage(p) for p in sentence.passages) + reason + sure
    if not body:
        body = '<p class="wb-quiet">Read from the file itself.</p>'
    support = sentence.support
    return (
        f'<details class="wb-sentence"><summary><span>{said(sentence.text)}</span><em class="{support}">{support}</em></summary>'
        f'<div class="wb-evidence">{body}</div></details>'
    )


def _measurement(measurement: Measurement, report: Report) -> str:
    digits = 0 if measurement.unit == "count" else 2
    unit = measurement.unit if measurement.unit in ("ml", "%", "mm") else ""
    label = measurement.label
    show = ""
    swatch = ""
    if label:
        info = structure(label)
        swatch = f'<i class="wb-swatch" style="background:{info.colour}"></i>'
        show = f'<button type="button" class="wb-button small" data-show="{label}">Show in the viewer</button>'
    elif (lesion := _LESION.fullmatch(measurement.name)) and int(lesion[1]) <= len(report.lesions):
        place = ",".join(f"{mm:.1f}" for mm in report.lesions[int(lesion[1]) - 1].center_mm)
        show = f'<button type="button" class="wb-button small" data-show="{LESION}" data-mm="{place}">Show in the viewer</button>'
    where = f"<dt>Label</dt><dd>{label}</dd>" if label else ""
    sure = f"<dt>Confidence</dt><dd>{measurement.confidence:.2f}</dd>" if measurement.confidence is not None else ""
    facts = f'<div class="wb-facts"><dl>{where}{sure}</dl>{show}</div>' if where or sure or show else ""
    return (
        f'<div class="wb-measure"><div class="wb-measure-head">{swatch}<b>{escape(capital(measurement.name))}</b>'
        f'<span class="wb-number">{number(measurement.value, digits=digits)} {unit}</span></div>'
        f"<p>{escape(measurement.definition)}</p>{facts}</div>"
    )


def _passage(passage: Passage) -> str:
    page = f", page {passage.page}" if passage.page else ""
    sure = f", entailed with {passage.entailed:.2f}" if passage.entailed is not None else ""
    return f"<blockquote>{escape(passage.text)}<cite>{escape(passage.title or passage.document)}{page}{sure}</cite></blockquote>"


def volumes_html(rows: list[VolumeRow]) -> str:
    """Millilitres left and right with their asymmetry; a row leads to the structure in the viewer."""
    body = "".join(_volume_row(row) for row in rows)
    table = (
        '<div class="wb-scroll"><table class="wb-table wb-volumes"><thead><tr><th>Structure</th><th>Left, ml</th><th>Right, ml</th>'
        '<th title="Left minus right, over the mean of both; the letter names the larger side">Asymmetry</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
    return panel("Volumes", table)


def _volume_row(row: VolumeRow) -> str:
    def cell(value: float | None) -> str:
        return number(value, digits=1 if value >= 10 else 2) if value is not None else "–"

    asymmetry = row.asymmetry
    told = "–" if asymmetry is None else f"{percent(abs(asymmetry))} {'L' if asymmetry > 0 else 'R'}" if abs(asymmetry) >= 0.05 else "0.0 %"
    sides = (
        f"<td>{cell(row.left)}</td><td>{cell(row.right)}</td>"
        if row.middle is None
        else f'<td colspan="2" class="wb-both">{cell(row.middle)}</td>'
    )
    labels = ",".join(str(label) for label in row.labels)
    name = escape(capital(row.name))
    return (
        f'<tr><th scope="row"><button type="button" class="wb-row" data-show="{labels}" title="Show {name} in the viewer">'
        f'<i class="wb-swatch" style="background:{row.colour}"></i>{name}</button></th>{sides}<td>{told}</td></tr>'
    )


def made_html(report: Report, stage_titles: dict[str, str]) -> str:
    """Which model versions took part, and how long each stage took."""
    models = "".join(
        f"<tr><th scope=row>{role_name(m.role)}</th><td>{model_words(m.name, m.version, m.backend, m.device)}"
        f'<small>weights <span class="wb-code" title="sha256: {escape(m.digest)}">{escape(m.digest[:12])}</span></small></td></tr>'
        for m in report.models
    )
    models_table = f'<table class="wb-table wb-roles"><tbody>{models}</tbody></table>'
    whole = {name: seconds for name, seconds in report.seconds.items() if "." not in name}
    total = sum(whole.values()) or 1.0
    times = "".join(
        _time(stage_titles.get(name, capital(name)), seconds, total) + _parts(report, name, total) for name, seconds in whole.items()
    )
    times_list = f'<ul class="wb-times">{times}</ul>'
    return f'<div class="wb-stack">{panel("Models that took part", models_table)}{panel("Time it took", times_list)}</div>'


def _time(title: str, seconds: float, total: float) -> str:
    share = max(0.5, 100 * seconds / total)
    return (
        f'<li><span>{escape(title)}</span><i><b style="width:{share:.1f}%"></b></i><span class="wb-number">{duration(seconds)}</span></li>'
    )


def _parts(report: Report, stage: str, total: float) -> str:
    """The parts of a stage, folded away."""
    inside = {name.partition(".")[2]: seconds for name, seconds in report.seconds.items() if name.startswith(f"{stage}.")}
    if not inside:
        return ""
    rows = "".join(_time(capital(name), seconds, total) for name, seconds in inside.items())
    return f"<li class=wb-parts><details><summary>In detail</summary><ul class=wb-times>{rows}</ul></details></li>"
