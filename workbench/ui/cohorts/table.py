"""A cohort as HTML: its progress and its table."""

from __future__ import annotations

from infra.database import as_utc
from pipelines.jobs import LIVE
from workbench.services.cohorts import CohortCard, CohortRow, CohortView
from workbench.ui.shared.formatting import escape, moment, number, plural
from workbench.ui.shared.shell import chip, empty, progress_bar

_KIND = {"done": "good", "failed": "bad", "running": "live", "queued": "plain", "cancelled": "plain"}
_NAMES = {"done": "Done", "failed": "Failed", "running": "Running", "queued": "Queued", "cancelled": "Cancelled"}
_COLUMNS = (("brain_ml", "Brain"), ("grey_matter_ml", "Grey"), ("white_matter_ml", "White"), ("ventricle_ml", "Ventricles"))


def cohort_title_html(view: CohortView) -> str:
    """Name, date and downloads."""
    cohort = view.cohort
    base = f"/imaging/cohorts/{cohort.id}"
    links = ""
    if view.count("done", "failed"):
        links = (
            f'<a class="wb-button first" href="{base}/quality.html" target="_blank" rel="noopener">Quality page</a>'
            f'<a class="wb-button" href="{base}/measurements.csv" download>Table (CSV)</a>'
        )
    scans = f"{plural(len(view.rows), 'sequence')} of one visit" if cohort.study else plural(len(view.rows), "scan")
    return (
        f'<div class="wb-title"><div><a class="wb-back" href="/cohorts">Cohorts</a><h1>{escape(cohort.title)}</h1>'
        f'<p class="wb-quiet">{scans} · sent {moment(as_utc(cohort.created_at))}</p></div><div class="wb-downloads">{links}</div></div>'
    )


def cohort_progress_html(view: CohortView) -> str:
    """A progress bar, and the number of scans by state."""
    states = [(view.count("done"), "done"), (view.count("running"), "running"), (view.count("queued"), "queued")]
    states += [(view.count("failed"), "failed"), (view.count("cancelled"), "cancelled")]
    told = " · ".join(f"<b>{count}</b> {word}" for count, word in states if count or word == "done")
    bar = progress_bar(view.cohort.title, view.fraction, "" if view.live or not view.count("cancelled") else "cancelled")
    after = '<p class="wb-quiet">You can close this page; the analysis continues.</p>' if view.live else ""
    return f'<section class="wb-card" aria-live="polite">{bar}<p>{told}</p>{after}</section>'


def cohort_table_html(view: CohortView) -> str:
    """One row a scan, by name; volumes in millilitres."""
    if not view.rows:
        return empty("No scans yet", "Uploaded scans appear here.")
    head = "".join(f"<th>{title}</th>" for _, title in _COLUMNS)
    rows = "".join(_row(row) for row in view.rows)
    return (
        '<section class="wb-card"><div class="wb-scroll"><table class="wb-table wb-jobs wb-volumes wb-cohort"><thead><tr><th>Scan</th>'
        f"<th>State</th><th>Quality</th>{head}<th>Lesions</th></tr></thead><tbody>{rows}</tbody></table></div>"
        '<p class="wb-quiet wb-after">Volumes in millilitres.</p></section>'
    )


def _row(row: CohortRow) -> str:
    job, found = row.job, row.summary or {}
    name = escape(row.scan.name)
    why = f"<small>{escape(row.reason)}</small>" if row.reason else f"<small>same as {escape(row.same_as)}</small>" if row.same_as else ""
    state = chip(_NAMES.get(job.state, job.state), _KIND.get(job.state, "plain"))
    if job.state == "running":
        state += f' <span class="wb-quiet">{round(100 * job.fraction)} %</span>'
    quality = chip(str(found["quality"]), "good" if found["quality"] == "good" else "limited") if found.get("quality") else ""
    shown = [(title, number(float(found[key])) if found.get(key) is not None else "") for key, title in _COLUMNS]
    shown.append(("Lesions", str(found.get("lesions", ""))))
    values = "".join(f'<td data-name="{title}">{value}</td>' for title, value in shown)  # on a phone the name stands beside the value
    return (
        f'<tr data-state="{job.state}"><th scope="row"><a href="/imaging?job={job.id}">{name}</a>{why}</th><td>{state}</td>'
        f"<td>{quality}</td>{values}</tr>"
    )


def cohorts_html(cards: list[CohortCard]) -> str:
    """Earlier cohorts."""
    if not cards:
        return empty(
            "No cohorts yet",
            "Upload several scans above, or analyse a folder or BIDS dataset from the command line: "
            '<span class="wb-code">workbench analyze FOLDER --out DIR</span>',
        )
    rows = "".join(_card(card) for card in cards)
    return f'<section class="wb-card"><table class="wb-table wb-jobs"><tbody>{rows}</tbody></table></section>'


def _card(card: CohortCard) -> str:
    count = sum(card.states.values())
    live = sum(card.states.get(state, 0) for state in LIVE)
    failed = card.states.get("failed", 0)
    scans = plural(count, "sequence" if card.study else "scan")
    state = chip(f"{live} remaining", "live") if live else chip(f"{failed} failed", "bad") if failed else chip("Done", "good")
    return (
        f'<tr><th scope="row"><a href="/cohorts?cohort={card.id}">{escape(card.title)}</a></th><td class="wb-number">{scans}</td>'
        f'<td>{state}</td><td class="wb-when">{moment(as_utc(card.created_at))}</td></tr>'
    )
