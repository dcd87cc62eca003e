"""Promoting and rolling back: the alias ``champion`` in MLflow, and the version before it as a tag.

MLflow has no rollback of its own. The tag ``previous`` of a role's registered model names the champion before the
present one; a rollback exchanges the two, so that a second one leads back again. Running replicas follow by themselves
(:mod:`workbench.services.promotions`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from infra.errors import Conflict, InvalidInput, NotFound
from infra.settings import Settings
from serving.registry.mlflow_registry import (
    CHAMPION,
    champion_number,
    lacks,
    one_at_a_time,
    open_client,
    refresh,
    register_embedded,
    versions_of,
)
from serving.registry.refusals import read_refusals, write_refusals
from serving.registry.versions import ModelRef, ModelVersion, registered_name
from serving.roles import role_names

PREVIOUS = "previous"
_REF = re.compile(r"(?P<role>[a-z]+)(?:[@/:](?P<which>[A-Za-z0-9_-]+))?")


@dataclass(frozen=True)
class VersionCard:
    """A version as ``workbench models list`` shows it; ``serves`` is whether it is the champion, ``refused`` why not."""

    role: str
    version: str
    title: str
    backend: str
    digest: str
    serves: bool
    previous: bool
    evaluation: str
    refused: str

    def as_dict(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True)
class Change:
    """What serves a role now, and what served it before."""

    now: ModelRef
    before: str | None


def parse_ref(text: str) -> tuple[str, str]:
    """Role and version of ``segmentation@champion``, ``segmentation@previous``, ``segmentation/3`` or ``segmentation``.

    Raises:
        InvalidInput: it is none of these.
    """
    found = _REF.fullmatch(text)
    if found is None or found["role"] not in role_names():
        raise InvalidInput(f"'{text}' names no model. Write ROLE@champion or ROLE/VERSION; roles are {', '.join(role_names())}.")
    return found["role"], found["which"] or CHAMPION


def find_version(settings: Settings, text: str) -> ModelVersion:
    """The version that a reference names, with where its weights lie.

    Raises:
        NotFound: there is none, or its weights are not on this machine.
    """
    role, which = parse_ref(text)
    number = _number(_registry(settings, role), role, which)
    catalogue = refresh(settings)
    found = catalogue.versions.get(role, {}).get(number)
    if found is None:
        raise NotFound(f"There is no version {number} of the role {role} on this machine. `workbench models list` shows what there is.")
    return found


def list_versions(settings: Settings) -> list[VersionCard]:
    """Every registered version of every role, by role and number."""
    client = _registry(settings, *role_names())
    serving, refused = refresh(settings).champions, read_refusals(settings)
    cards = []
    for role in role_names():
        found = versions_of(client, role)
        previous = _previous(client, role) if found else None
        for version in found:
            number, tags = str(version.version), dict(version.tags)
            why = refused[role].reason if role in refused and refused[role].version == number else ""
            cards.append(
                VersionCard(
                    role, number, tags.get("title", ""), tags.get("backend", ""), tags.get("digest", ""),
                    serving.get(role) == number, previous == number, tags.get("evaluation", ""), why,
                )
            )  # fmt: skip
    return cards


def promote(settings: Settings, text: str) -> Change:
    """Make a version the champion of its role.

    Raises:
        NotFound: there is no such version here.
        Conflict: it does not qualify (``mlflow.promotion``); the sentence says what it lacks.
    """
    role, _ = parse_ref(text)
    wanted = find_version(settings, text)
    with one_at_a_time(settings):
        client = open_client(settings)
        number = wanted.ref.version
        if reason := lacks(settings, client, role, number):
            raise Conflict(f"Version {number} of {role} is not promoted. {reason}")
        before = champion_number(client, role)
        if before != number:
            if before is not None:
                client.set_registered_model_tag(registered_name(role), PREVIOUS, before)
            client.set_registered_model_alias(registered_name(role), CHAMPION, number)
        # Promoting again what a replica refused is asking it to try again.
        write_refusals(settings, {r: refusal for r, refusal in read_refusals(settings).items() if r != role})
    refresh(settings)
    return Change(wanted.ref, before)


def rollback(settings: Settings, role: str) -> Change:
    """Make the champion before the present one the champion again.

    Raises:
        NotFound: there was none before.
    """
    if role not in role_names():
        raise InvalidInput(f"There is no role '{role}'. Roles are {', '.join(role_names())}.")
    previous = _previous(open_client(settings), role)
    if previous is None:
        raise NotFound(f"The role {role} had no champion before the present one: there is nothing to roll back to.")
    return promote(settings, f"{role}/{previous}")


def _registry(settings: Settings, *roles: str) -> Any:
    """MLflow; where it has no version of these roles (nobody has started a workbench here), the embedded models are put into it."""
    client = open_client(settings)
    if not any(versions_of(client, role) for role in roles):
        register_embedded(settings)
    return client


def _number(client: Any, role: str, which: str) -> str:
    if which == CHAMPION:
        found = champion_number(client, role) if versions_of(client, role) else None
    elif which == PREVIOUS:
        found = _previous(client, role)
    else:
        found = which if which in {str(version.version) for version in versions_of(client, role)} else None
    if found is None:
        raise NotFound(f"The role {role} has no version '{which}'. `workbench models list` shows what there is.")
    return found


def _previous(client: Any, role: str) -> str | None:
    if not versions_of(client, role):
        return None
    return dict(client.get_registered_model(registered_name(role)).tags).get(PREVIOUS)
