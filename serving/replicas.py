"""What runs in a Serve replica: a local role, with logs that carry the request's correlation id and an honest health check.

Imported in every replica: nothing heavy here. Errors of :mod:`infra.errors` cross to the caller as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from infra.datafolder import DataFolder
from infra.errors import Unavailable, WorkbenchError
from infra.settings import Settings
from infra.telemetry import configure_logging, correlated, logger
from serving.contracts import Delta, Embeddings, Entailment, Message, Segmentation, Volume, WriteOptions
from serving.local import local_role
from serving.ray_cluster import keep_replica_private

log = logger("serving.replica")


class Replica:
    """One role's replica: ready when the champion is loaded and has passed its smoke test."""

    role_name: str

    async def __init__(self, settings: Settings) -> None:  # type: ignore[misc]  # Serve awaits it
        _log_to_file(settings, self.role_name)
        self.role: Any = local_role(settings, self.role_name)
        await self.role.shelf.refresh()

    async def refresh(self) -> dict[str, str]:
        """Take the champion that the registry's snapshot names now; requests go on with the old one meanwhile."""
        return (await self.role.shelf.refresh()).as_dict()

    async def loaded(self) -> list[dict[str, str]]:
        """The versions this replica holds."""
        return [ref.as_dict() for ref in self.role.shelf.loaded]

    async def pid(self) -> int:
        """This replica's process, for those who look after it (and for tests that kill it)."""
        return os.getpid()

    async def check_health(self) -> None:
        """Serve restarts the replica where this raises: a model's thread died and no call has replaced it yet."""
        if not self.role.shelf.healthy():
            raise Unavailable(f"A model of the role {self.role_name} has stopped.")

    @contextlib.contextmanager
    def request(self, correlation_id: str | None, **facts: Any) -> Iterator[dict[str, Any]]:
        """Log one request's end with its correlation id; what the block adds to the dictionary is logged too."""
        with correlated(correlation_id):
            started, outcome, said = time.perf_counter(), "ok", dict(facts)
            try:
                yield said
            except WorkbenchError as error:
                outcome = error.code
                raise
            except (GeneratorExit, asyncio.CancelledError):
                outcome = "cancelled"
                raise
            except BaseException as error:
                outcome = type(error).__name__
                log.exception("request failed", role=self.role_name)
                raise
            finally:
                log.info("request", role=self.role_name, outcome=outcome, seconds=round(time.perf_counter() - started, 4), **said)


class EmbeddingReplica(Replica):
    role_name = "embedding"

    async def embed(self, texts: Sequence[str], version: str | None = None, correlation_id: str | None = None) -> Embeddings:
        with self.request(correlation_id, texts=len(texts)) as said:
            answer = await self.role.embed(texts, version=version)
            said["version"] = answer.model.version
            return answer


class EntailmentReplica(Replica):
    role_name = "entailment"

    async def entail(self, pairs: Sequence[tuple[str, str]], version: str | None = None, correlation_id: str | None = None) -> Entailment:
        with self.request(correlation_id, pairs=len(pairs)) as said:
            answer = await self.role.entail(pairs, version=version)
            said["version"] = answer.model.version
            return answer


class LanguageReplica(Replica):
    role_name = "llm"

    async def write(
        self, messages: Sequence[Message], options: WriteOptions, version: str | None = None, correlation_id: str | None = None
    ) -> AsyncIterator[Delta]:
        with self.request(correlation_id) as said:
            async with contextlib.aclosing(self.role.write(messages, options, version=version)) as deltas:
                async for delta in deltas:
                    said.update(version=delta.model.version, tokens=delta.tokens, finish=delta.finish)
                    yield delta


class SegmentationReplica(Replica):
    role_name = "segmentation"

    async def segment(self, volume: Volume, version: str | None = None, correlation_id: str | None = None) -> Segmentation:
        with self.request(correlation_id, voxels=int(volume.data.size)) as said:
            answer = await self.role.segment(volume, version=version)
            said.update(version=answer.model.version, verdict=answer.quality.verdict)
            return answer


REPLICAS: dict[str, type[Replica]] = {
    "segmentation": SegmentationReplica,
    "embedding": EmbeddingReplica,
    "llm": LanguageReplica,
    "entailment": EntailmentReplica,
}


def _log_to_file(settings: Settings, role: str) -> None:
    """JSON lines in the data folder's ``logs``; on another machine of a cluster, where there is none, standard error."""
    keep_replica_private()
    stream = None
    with contextlib.suppress(OSError):
        folder = DataFolder(settings.home).logs
        folder.mkdir(parents=True, exist_ok=True)
        stream = open(folder / f"serving-{role}.log", "a", buffering=1)  # noqa: SIM115 - open as long as the replica lives
    configure_logging(level=settings.telemetry.level, stream=stream, component=f"serving.{role}")
