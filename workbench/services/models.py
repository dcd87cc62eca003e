"""The roles: who fulfils them, and in what state they are."""

from __future__ import annotations

from dataclasses import dataclass

from serving.registry.refusals import read_refusals
from serving.registry.versions import ModelRef
from serving.roles import missing_sentence, role_names
from workbench.services.context import Services
from workbench.services.health import deployments


@dataclass(frozen=True)
class RoleCard:
    """A role as the Home page and ``GET /models`` show it.

    Attributes:
        role: its name.
        state: ready, starting, degraded, down or missing.
        sentence: for a person.
        champion: the version that serves; None where no model fulfils the role.
    """

    role: str
    state: str
    sentence: str
    champion: ModelRef | None


async def list_roles(services: Services) -> list[RoleCard]:
    """Every role of the contract, missing ones included."""
    champions = services.champions()
    states = await deployments(services)
    return [_card(services, role, champions.get(role), states) for role in role_names()]


def _card(services: Services, role: str, champion: ModelRef | None, states: dict[str, tuple[str, str]]) -> RoleCard:
    if services.settings.model(role).backend == "none":
        return RoleCard(role, "missing", missing_sentence(role), None)
    state, sentence = states.get(role, ("missing", missing_sentence(role)))
    if refused := read_refusals(services.settings).get(role):
        sentence = f"{sentence} Version {refused.version} was promoted but could not be loaded: {refused.reason}"
    return RoleCard(role, state, sentence, champion)
