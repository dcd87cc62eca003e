"""The embedding model whose vectors a collection holds."""

from __future__ import annotations

from collections.abc import Sequence

from infra.errors import Conflict
from infra.settings import Settings
from serving.registry.champions import read_catalogue
from serving.roles import Roles
from serving.roles.embedding import Embeddings


class KnownModel:
    """Embeds with the model whose vectors a collection holds, also when another one serves by now.

    Args:
        settings: the program's.
        roles: the models.
        digest: of the collection's model; empty for whichever serves.
    """

    def __init__(self, settings: Settings, roles: Roles, digest: str) -> None:
        self._settings, self._role, self._digest = settings, roles.require("embedding"), digest
        self._version: str | None = None

    async def embed(self, texts: Sequence[str]) -> Embeddings:
        """Raises Conflict where the collection's model is not there any more."""
        answer: Embeddings = await self._role.embed(texts, version=self._version)
        if self._digest and answer.model.digest != self._digest and self._version is None:
            self._version = self._find()
            answer = await self._role.embed(texts, version=self._version)
        if self._digest and answer.model.digest != self._digest:
            raise self._gone()
        return answer

    def _find(self) -> str:
        versions = read_catalogue(self._settings).versions.get("embedding", {})
        found = next((number for number, version in versions.items() if version.ref.digest == self._digest), None)
        if found is None:
            raise self._gone()
        return found

    @staticmethod
    def _gone() -> Conflict:
        return Conflict("The collection was made with another embedding model. Rebuild it (workbench kb rebuild).")
