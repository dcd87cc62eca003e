"""Results as cards, and what serves as a table."""

from __future__ import annotations

from workbench.services.models import RoleCard
from workbench.services.results import ResultCard
from workbench.ui.shared.formatting import capital, escape, moment, said
from workbench.ui.shared.shell import chip

_STATES = {"ready": "good", "starting": "live", "degraded": "limited", "down": "bad", "missing": "plain"}


def results_html(cards: list[ResultCard]) -> str:
    """The latest results, each with a picture and its finding."""
    return f'<div class="wb-results">{"".join(_card(card) for card in cards)}</div>'


def _card(card: ResultCard) -> str:
    job = card.job
    headline = str(card.summary.get("headline") or "The report is ready.")
    return (
        f'<a class="wb-result" href="/imaging?job={job.id}">'
        f'<img src="/imaging/analysis/{job.id}/thumbnail.jpg" alt="" loading="lazy" width="320" height="200">'
        f'<div><b title="{escape(job.title)}">{escape(job.title)}</b><p>{said(headline)}</p>'
        f'<span class="wb-quiet">{moment(card.created_at)}</span></div></a>'
    )


def roles_html(roles: list[RoleCard]) -> str:
    """Which model version serves each role, and where."""
    rows = []
    for role in roles:
        model = role.champion
        told = model_words(model.name, model.version, model.backend, model.device) if model else escape(role.sentence)
        state = chip(role.state, _STATES.get(role.state, "plain"), role.sentence)
        rows.append(
            f'<tr><th scope="row">{role_name(role.role)}</th><td class="wb-wrap">{told}</td><td class="wb-actions">{state}</td></tr>'
        )
    return f'<table class="wb-table wb-roles"><tbody>{"".join(rows)}</tbody></table>'


def model_words(name: str, version: str, backend: str, device: str) -> str:
    """A model's name, with its version and where it runs below."""
    where = "CPU" if device == "cpu" else "GPU" if device == "cuda" else device
    return f"{escape(name)}<small>version {escape(version)} · {escape(backend)} on {escape(where)}</small>"


def role_name(role: str) -> str:
    """A role as people say it."""
    return escape({"vlm": "Vision and language", "llm": "Language"}.get(role, capital(role)))
