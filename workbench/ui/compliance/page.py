"""Document analysis: send a document, watch it being checked, read its verdicts beside their evidence, and review them.

One address an analysis: ``/compliance?job=ID``, ``&match=ID`` for one of its verdicts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from infra.database.tables import User
from infra.errors import InvalidInput, NotFound
from pipelines.compliance.actions import draft
from pipelines.compliance.contract import Evidence
from pipelines.compliance.samples import COLLECTION, SAMPLES
from pipelines.questions.writers import usual_writer
from workbench.services import compliance
from workbench.services.cited_pages import Cited, cited
from workbench.services.compliance import AnalysisView, MatchCard
from workbench.services.compliance_places import evidence_place
from workbench.services.compliance_sending import PolicyChoice, policy_choices, send_document
from workbench.services.compliance_starter import start_sample
from workbench.services.context import Services
from workbench.services.progress import job_progress, list_progress
from workbench.ui.compliance.detail import NOTHING, action_html, detail_html, first_evidence, review_html
from workbench.ui.compliance.html import (
    analyses_html,
    choices,
    delete_html,
    finding_html,
    last_line,
    made_html,
    own_html,
    policy_of,
    shown,
    sub_bar,
    title_html,
    verdicts_html,
)
from workbench.ui.shared.actions import GO, ON_CLICK
from workbench.ui.shared.formatting import plural
from workbench.ui.shared.job_frame import JobFrame
from workbench.ui.shared.shell import HIDDEN, Updates, empty, html, person, told, top_bar
from workbench.ui.shared.stages import underway_html

LEAD = """<div class="wb-lead"><h1>Document analysis</h1>
<p>Check a contract, procedure or privacy policy against the requirements of your policies. Each requirement gets a verdict with
evidence. Documents stay on this machine.</p></div>"""
OWN = """<p class="wb-quiet">CSV or Excel (XLSX) with the columns id and text
(optional: severity, topic, modality), or one requirement per line.
Upload it here first, then the document above. It replaces the policies.</p>"""
NOTHING_CHECKED = "Upload one above, or try a sample; samples include their policies."
SEVERITIES = ("All severities", "Critical", "High", "Medium", "Low")
EVERY_POLICY = "All policies"
LATEST = 8

# The chosen verdict is marked at once; the list itself stays as it is, and where it is scrolled to. The answer of a filter may
# draw it anew at any moment, between the press and the release of a button too: what was pressed counts, and keeps its mark;
# and who goes through the list by keyboard keeps the place.
ON_CHOICE = """let pressed = null, chosen = null, released = -Infinity, focused = null;
const buttons = () => element.querySelectorAll('[data-do]');
const mark = () => {
  if (![...buttons()].some((one) => one.dataset.id === chosen)) return;
  for (const one of buttons()) {
    if (one.dataset.id === chosen) one.setAttribute('aria-current', 'true');
    else one.removeAttribute('aria-current');
  }
};
const choose = (id) => {
  chosen = window.workbenchVerdict = id;
  mark();
  trigger('submit', { action: 'open', id, words: '' });
};
const id = (event) => event.target instanceof Element ? event.target.closest('[data-do]')?.dataset.id : undefined;
element.addEventListener('pointerdown', (event) => {
  const here = event.isPrimary && event.button === 0 ? id(event) : undefined;
  pressed = here === undefined ? null : { id: here, x: event.clientX, y: event.clientY };
});
window.addEventListener('pointercancel', () => { pressed = null; });
window.addEventListener('pointerup', (event) => {
  const one = pressed;
  pressed = null;
  if (!one || Math.hypot(event.clientX - one.x, event.clientY - one.y) > 8) return;
  released = performance.now();
  choose(one.id);
});
element.addEventListener('focusin', (event) => { focused = id(event) ?? null; });
element.addEventListener('focusout', (event) => {
  // A button that was drawn anew is out of the page by then; one that was left is still there.
  queueMicrotask(() => { if (event.target.isConnected && focused === event.target.dataset.id) focused = null; });
});
const refocus = () => {
  if (focused === null || document.activeElement !== document.body) return;
  [...buttons()].find((one) => one.dataset.id === focused)?.focus({ preventScroll: true });
};
element.addEventListener('click', (event) => {
  const here = id(event);
  // With a pointer it was chosen at its release; this is for the keyboard (its clicks have no detail) and for what reads the page aloud.
  if (here !== undefined && (event.detail === 0 || performance.now() - released > 300)) choose(here);
});
new MutationObserver(() => { mark(); refocus(); }).observe(element, { childList: true, subtree: true });"""


def compliance_page(services: Services, blocks: gr.Blocks) -> None:
    """Lay out the page in the current Blocks."""
    top_bar("Compliance")
    sub_bar("Document analysis")
    match_box = gr.Textbox(visible="hidden", elem_id="match", label="Verdict")
    frame = JobFrame(services, elem_id="analysis", label="Analysis")
    with frame.start:
        html(LEAD)
        with gr.Row(equal_height=True):
            with gr.Column(scale=3, min_width=320):
                policies = gr.Dropdown([], multiselect=True, label="Policies", elem_id="policies")
                drop = gr.File(
                    label="Document", show_label=False, height=190, elem_id="drop", elem_classes="wb-drop wb-document", type="filepath"
                )
                with gr.Accordion("Use a file of requirements instead", open=False, elem_id="own-requirements"):
                    html(OWN)
                    file = gr.File(label="Requirements", show_label=False, height=110, elem_id="requirements-file", type="filepath")
            with gr.Column(scale=2, min_width=300, elem_classes="wb-samples"):
                samples = [
                    (
                        sample.name,
                        gr.Button(
                            f"Sample: {sample.title.lower()}\n{sample.text}", elem_id=f"sample-{sample.name}", elem_classes="wb-sample"
                        ),
                    )
                    for sample in SAMPLES.values()
                ]
        earlier = html()
    with frame.result:
        finding = html()
        with gr.Row(elem_classes="wb-pair"):
            with gr.Column(scale=4, min_width=320, elem_classes="wb-stick"):
                wanted = gr.Radio([], label="Verdict", show_label=False, container=False, elem_classes="wb-filter", elem_id="standing")
                with gr.Row(elem_classes="wb-form"):
                    severity = gr.Dropdown(
                        list(SEVERITIES), value=SEVERITIES[0], label="Severity", show_label=False, container=False, min_width=130
                    )
                    policy = gr.Dropdown(
                        [EVERY_POLICY], value=EVERY_POLICY, label="Policy", show_label=False, container=False, min_width=150
                    )
                text = gr.Textbox(
                    "",
                    label="Search requirements",
                    show_label=False,
                    container=False,
                    placeholder="Search requirements",
                    max_lines=1,
                    elem_id="containing",
                )
                verdicts = html(js_on_load=ON_CHOICE, elem_id="verdicts")
            with gr.Column(scale=7, min_width=340, elem_id="sides"):
                sides = html(js_on_load=ON_CLICK)
                action = html(js_on_load=ON_CLICK)
                review = html(js_on_load=ON_CLICK)
        with gr.Row(elem_classes="wb-pair"):
            with gr.Column(scale=3, min_width=320):
                own = html()
            with gr.Column(scale=2, min_width=300):
                made = html()
                remove = html(js_on_load=ON_CLICK)
    missing = html(visible=False)
    where = gr.Textbox(visible="hidden", label="Address")
    last_line()

    filters = [wanted, severity, policy, text]
    detail = [match_box, sides, action, review]
    everything = [*frame.parts, policies, drop, file, earlier, finding, verdicts, own, made, remove, missing, *filters, *detail]

    def may_draft() -> bool:
        return usual_writer(services.settings) == "model"

    async def show_start(user: User) -> Updates:
        cards = await compliance.list_analyses(services, user, LATEST)
        places = await policy_choices(services, user)
        first = [card.collection_id for card in places if card.name == COLLECTION] or [card.collection_id for card in places[:1]]
        heading = '<div class="wb-heading"><h2>Earlier analyses</h2><a href="/compliance-dashboard">Dashboard</a></div>'
        underway = underway_html(await list_progress(services, user, pipeline="compliance"))
        nothing = "" if underway else empty("No analyses yet", NOTHING_CHECKED)
        return {
            **frame.before(),
            policies: gr.Dropdown([(_named(card), card.collection_id) for card in places], value=first),
            earlier: underway + (heading + analyses_html(cards) if cards else nothing),
        }

    async def show_job(user: User, job_id: str, match_id: str = "") -> Updates:
        progress = await job_progress(services, user, job_id)
        job = progress.job
        updates: Updates = {drop: None, file: None, **frame.showing(progress, title_html(job, None))}
        if job.state != "done":
            return updates
        return updates | await show_result(user, await compliance.load_analysis(services, user, job.id), match_id)

    async def show_result(user: User, found: AnalysisView, match_id: str) -> Updates:
        named = choices(found)
        documents = [EVERY_POLICY, *dict.fromkeys(policy_of(match) for match in found.matches)]
        listed = shown(found, named[0])
        chosen = next((match for match in found.matches if match.id == match_id), None) or next(iter(listed), None)
        return {
            frame.title: title_html(None, found),
            finding: finding_html(found),
            wanted: gr.Radio(named, value=named[0]),
            policy: gr.Dropdown(documents, value=EVERY_POLICY, visible=len(documents) > 2),
            verdicts: verdicts_html(listed, chosen.id if chosen else ""),
            own: own_html(found.report.own),
            made: made_html(found.report),
            remove: delete_html(found),
            **(await show_match(user, found, chosen, None) if chosen else {sides: NOTHING, action: "", review: ""}),
        }

    async def show_match(user: User, found: AnalysisView, match: MatchCard, evidence: Evidence | None) -> Updates:
        evidence = evidence or first_evidence(match.verdict)
        place = await evidence_place(services, user, found, evidence) if evidence else None
        return {
            match_box: match.id,
            sides: detail_html(found.id, match, await policy_place(user, match), place, evidence),
            action: action_html(match, may_draft=may_draft()),
            review: review_html(match),
        }

    async def policy_place(user: User, match: MatchCard) -> Cited | None:
        source = match.verdict.requirement.source
        if source is None or not source.collection_id:
            return None
        try:
            return await cited(
                services, user, source.collection_id, source.document,
                page=source.page, start=source.start, end=source.end, text=source.text,
            )  # fmt: skip
        except NotFound:  # the policy was removed since, or is not this person's to read
            return None

    @told
    async def open_page(request: gr.Request) -> Updates:
        user = person(request)
        named = str(request.query_params.get("job") or "")
        try:
            return await (show_job(user, named, str(request.query_params.get("match") or "")) if named else show_start(user))
        except NotFound:
            text = 'It may have been deleted, or you do not have access. <a href="/compliance">Check a document</a>.'
            return {missing: gr.HTML(empty("Analysis not found", text), visible=True)}

    @told
    async def send(path: str | None, chosen: list[str], requirements: str | None, request: gr.Request) -> Updates:
        user = person(request)
        if not path:
            return {drop: None}
        job = await send_document(
            services, user, Path(path), policies=chosen or [], requirements=Path(requirements) if requirements else None
        )
        return await show_job(user, job.id)

    def send_sample(name: str) -> Any:
        @told
        async def send_this(request: gr.Request) -> Updates:
            user = person(request)
            return await show_job(user, (await start_sample(services, user, name)).id)

        return send_this

    @told
    async def narrow(named: str | None, degree: str, document: str, words: str, identifier: str, chosen: str, request: gr.Request) -> str:
        found = await compliance.load_analysis(services, person(request), identifier)
        return verdicts_html(_listed(found, named, degree, document, words), chosen)

    @told
    async def choose(identifier: str, match_id: str, request: gr.Request) -> Updates:
        user = person(request)
        found = await compliance.load_analysis(services, user, identifier)
        return await show_match(user, found, _match(found, match_id), None)

    @told
    async def act(
        named: str | None, degree: str, document: str, words: str, identifier: str, request: gr.Request, event: gr.EventData
    ) -> Updates:
        user, doing = person(request), str(event.action)
        match_id, _, rest = str(event.id).partition(" ")
        found = await compliance.load_analysis(services, user, identifier)
        match = _match(found, match_id)
        if doing == "evidence":
            return await show_match(user, found, match, _evidence(match, rest))
        if doing == "draft":
            return {action: action_html(match, await draft(match.verdict, services.roles), may_draft=may_draft())}
        before = named
        found = await compliance.review_verdict(services, user, match_id, rest, str(event.words))  # type: ignore[arg-type]
        options = choices(found)
        kind = (before or options[0]).rpartition(" ")[0]
        value = next((option for option in options if option.rpartition(" ")[0] == kind), options[0])
        return {
            frame.title: title_html(None, found),
            finding: finding_html(found),
            wanted: gr.Radio(options, value=value),
            verdicts: verdicts_html(_listed(found, value, degree, document, words), match_id),
            **await show_match(user, found, _match(found, match_id), None),
        }

    @told
    async def drop_it(identifier: str, request: gr.Request) -> str:
        await compliance.delete_analysis(services, person(request), identifier)
        return "/compliance"

    opened = "(id) => { if (id) { history.pushState({}, '', `/compliance?job=${encodeURIComponent(id)}`); window.scrollTo({ top: 0 }); } }"
    seen = """(id, match) => {
      history.replaceState({}, '', `/compliance?job=${encodeURIComponent(id)}&match=${encodeURIComponent(match)}`);
      const sides = document.getElementById('sides');
      const away = innerWidth <= 1000 || sides.getBoundingClientRect().top < 0;
      if (away) setTimeout(() => sides.scrollIntoView({ block: 'start', behavior: 'smooth' }), 80);
    }"""
    blocks.load(open_page, None, everything, **HIDDEN)
    frame.wire(everything, show_job, opened)
    drop.upload(send, [drop, policies, file], everything, **HIDDEN).then(None, frame.box, None, js=opened)
    for name, button in samples:
        button.click(send_sample(name), None, everything, show_progress="minimal", api_visibility="private").then(
            None, frame.box, None, js=opened
        )
    # One after the other, and the last one always: two filters set quickly give the list of the second. A call that waited so
    # has lost its event's data, so the verdict is named by the script.
    changes = [wanted.input, severity.input, policy.input, text.change]  # Gradio tells of no input that is pasted
    gr.on(changes, narrow, [*filters, frame.box, match_box], verdicts, trigger_mode="always_last", **HIDDEN)
    which = "(id) => [id, window.workbenchVerdict]"
    chosen = verdicts.submit(choose, [frame.box, match_box], detail, js=which, trigger_mode="always_last", **HIDDEN)
    chosen.success(None, [frame.box, match_box], None, js=seen)
    remove.submit(drop_it, frame.box, where, **HIDDEN).success(None, where, None, js=GO)
    for part in (sides, action, review):
        part.submit(
            act, [*filters, frame.box], [frame.title, finding, wanted, verdicts, *detail], show_progress="minimal", api_visibility="private"
        )


def _named(card: PolicyChoice) -> str:
    return f"{card.name} ({plural(card.requirements, 'requirement')})" if card.requirements else card.name


def _listed(found: AnalysisView, named: str | None, degree: str, document: str, words: str) -> list[MatchCard]:
    severity = "All" if degree == SEVERITIES[0] else degree
    return shown(found, named or "All", severity, "All" if document == EVERY_POLICY else document, words)


def _match(found: AnalysisView, identifier: str) -> MatchCard:
    match = next((match for match in found.matches if match.id == identifier), None)
    if match is None:
        raise NotFound("This analysis has no such verdict.")
    return match


def _evidence(match: MatchCard, place: str) -> Evidence:
    try:
        return match.verdict.evidence[int(place)]
    except (ValueError, IndexError) as error:
        raise InvalidInput("Passage not found.") from error
