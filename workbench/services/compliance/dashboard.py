"""What the compliance dashboard shows: analyses over time, risk, what is violated most, the policies, what waits for a person."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from sqlmodel import Session, col, func, select

from infra.database.tables import User
from infra.database.tables_compliance import PolicyMatch, PolicyState, RequirementRow
from infra.database.tables_knowledge import Collection, KbDocument
from knowledge.library import readable_collections
from knowledge.requirements import SEVERITIES
from pipelines.compliance import records
from pipelines.compliance.scoring import LIKELIHOODS
from workbench.services.compliance.analyses import AnalysisCard, list_analyses
from workbench.services.context import Services

LOOKED_AT = 500
MOST_VIOLATED = 10


@dataclass(frozen=True)
class PolicyCard:
    """A collection with requirements: how many are switched on and off."""

    collection_id: str
    name: str
    version: int
    documents: int
    requirements: int
    switched_off: int


@dataclass(frozen=True)
class Dashboard:
    """Everything of one person.

    Attributes:
        analyses: oldest first.
        violated: the most violated requirements: text, and how many analyses violate it.
        matrix: likelihood to severity to how many requirements, over the latest analysis of each document against the same policies.
        policies: collections that have requirements, by name.
        open_reviews: verdicts that wait for a person, in those latest ones.
        agreement: share of reviewed verdicts that the reviewer confirmed; None without reviews.
    """

    analyses: list[AnalysisCard]
    violated: list[tuple[str, int]]
    matrix: dict[str, dict[str, int]]
    policies: list[PolicyCard]
    open_reviews: int
    agreement: float | None


async def dashboard(services: Services, user: User) -> Dashboard:
    """The figures as they are now."""
    analyses = await list_analyses(services, user, LOOKED_AT)

    def work(session: Session) -> Dashboard:
        matrix: dict[str, dict[str, int]] = {name: {severity: 0 for severity in SEVERITIES} for name in LIKELIHOODS}
        found = records.analyses_of(session, user.id, LOOKED_AT)
        latest = set(records.latest_of(found))
        for row, _ in found:
            if row.id in latest:
                for likelihood, counts in row.grade["matrix"].items():
                    for severity, count in counts.items():
                        matrix[likelihood][severity] += count
        same, reviewed = records.agreement(session, user.id)
        return Dashboard(
            analyses=list(reversed(analyses)),
            violated=_violated(session, [card.id for card in analyses]),
            matrix=matrix,
            policies=_policies(session, user),
            open_reviews=sum(card.open_reviews for card in analyses),
            agreement=same / reviewed if reviewed else None,
        )

    return await services.database.run(work)


def _violated(session: Session, analysis_ids: list[str]) -> list[tuple[str, int]]:
    query = select(PolicyMatch).where(
        col(PolicyMatch.analysis_id).in_(analysis_ids), func.coalesce(PolicyMatch.reviewed, PolicyMatch.verdict) == "violated"
    )
    return Counter(str(match.requirement["text"]) for match in session.exec(query)).most_common(MOST_VIOLATED)


def _policies(session: Session, user: User) -> list[PolicyCard]:
    def count(collection: Collection, enabled: bool) -> int:
        query = select(func.count()).select_from(RequirementRow)
        here = query.where(RequirementRow.collection_id == collection.id, col(RequirementRow.until).is_(None))
        return session.exec(here.where(col(RequirementRow.enabled) == enabled)).one()

    found = []
    for collection in readable_collections(session, user.id):
        state = session.get(PolicyState, collection.id)
        if state is None or not state.version:
            continue
        documents = session.exec(select(func.count()).select_from(KbDocument).where(KbDocument.collection_id == collection.id)).one()
        on, off = count(collection, True), count(collection, False)
        found.append(PolicyCard(collection.id, collection.name, state.version, documents, on, off))
    return found
