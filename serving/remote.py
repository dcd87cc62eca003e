"""Roles whose models run on Ray Serve: typed, asynchronous, with errors as :mod:`infra.errors` has them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from infra.errors import TooLarge, Unavailable, WorkbenchError, find_workbench_error, storage_full
from infra.settings import Settings
from infra.telemetry import correlation_id, logger
from serving.contracts import Delta, Embeddings, Entailment, Message, Segmentation, Volume, WriteOptions, checked_pairs, checked_texts
from serving.roles import Roles

log = logger(__name__)

APP = "workbench"

CALL_BYTES = 1_000_000
"""Texts of one call, in UTF-8. Serve's replicas refuse messages above 4 MB, and so does the caller of their answers."""
CALL_TEXTS = 128
"""Texts embedded in one call: 128 vectors of 4,096 dimensions are 2 MB."""
CALL_PAIRS = 1024
"""Pairs read in one call: three numbers each; in a long call the replica has more to choose pairs of like length from."""
ITEM_BYTES = 3_000_000
"""The longest single text, or pair, in UTF-8; more would not fit a message whatever else is in it."""


def typed_error(error: BaseException) -> WorkbenchError:
    """The error of :mod:`infra.errors` that a failed Serve call means."""
    found = find_workbench_error(error) or storage_full(error)
    if found is not None:
        return found
    import ray.exceptions
    from ray.serve.exceptions import RayServeException

    passing = (
        RayServeException,
        ray.exceptions.RayActorError,
        ray.exceptions.RaySystemError,
        ray.exceptions.ObjectLostError,
        ConnectionError,
    )
    if isinstance(error, passing):
        return Unavailable("The model is not answering: it is starting, restarting or overloaded. Try again in a moment.")
    # The caller gets one sentence; what was raised, and where, stands in the log only.
    log.error("a call of a replica failed", error=f"{type(error).__name__}: {error}"[:2000], exc_info=error)
    return WorkbenchError(f"The model failed: {type(error).__name__}. The log has the details (`workbench logs`).")


async def answer_of(response: Any) -> Any:
    """The result of a ``DeploymentResponse``; a caller that is cancelled cancels the call."""
    try:
        return await response
    except asyncio.CancelledError:
        response.cancel()
        raise
    except Exception as error:
        raise typed_error(error) from error


def in_calls(sizes: Sequence[int], most: int) -> Iterator[slice]:
    """Cuts items of these sizes (bytes) into calls of at most ``most`` items that a replica takes; no items are one empty call.

    Raises:
        TooLarge: one item alone is too long.
    """
    begin = total = 0
    for at, size in enumerate(sizes):
        if size > ITEM_BYTES:
            raise TooLarge(f"A text of {size / 1e6:.1f} MB is too long for a model: {ITEM_BYTES // 1_000_000} MB are allowed. Split it.")
        if at > begin and (total + size > CALL_BYTES or at - begin >= most):
            yield slice(begin, at)
            begin, total = at, 0
        total += size
    yield slice(begin, len(sizes))


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


class RemoteEmbedding:
    def __init__(self, handle: Any) -> None:
        self._embed = handle.embed

    async def embed(self, texts: Sequence[str], *, version: str | None = None) -> Embeddings:
        """Raises InvalidInput where ``texts`` is not a list of texts, or one of them is too long."""
        texts = checked_texts(texts)
        parts: list[Embeddings] = []
        for part in in_calls([_bytes(text) for text in texts], CALL_TEXTS):
            # One version throughout, whatever is promoted meanwhile: vectors of two models do not compare.
            asked = parts[0].model.version if parts else version
            parts.append(await answer_of(self._embed.remote(texts[part], asked, correlation_id())))
        return Embeddings(np.concatenate([part.vectors for part in parts]), parts[0].model)


class RemoteEntailment:
    def __init__(self, handle: Any) -> None:
        self._entail = handle.entail

    async def entail(self, pairs: Sequence[tuple[str, str]], *, version: str | None = None) -> Entailment:
        """Raises InvalidInput where ``pairs`` is not a list of (claim, passage), or one of them is too long."""
        pairs = checked_pairs(pairs)
        parts: list[Entailment] = []
        for part in in_calls([_bytes(claim) + _bytes(passage) for claim, passage in pairs], CALL_PAIRS):
            asked = parts[0].model.version if parts else version
            parts.append(await answer_of(self._entail.remote(pairs[part], asked, correlation_id())))
        return Entailment(np.concatenate([part.probabilities for part in parts]), parts[0].model)


class RemoteLanguage:
    def __init__(self, handle: Any) -> None:
        self._handle = handle.options(stream=True)

    async def write(
        self, messages: Sequence[Message], options: WriteOptions = WriteOptions(), *, version: str | None = None
    ) -> AsyncIterator[Delta]:
        """Closing the iterator stops the writing on the replica."""
        response = self._handle.write.remote(list(messages), options, version, correlation_id())
        ended = False
        try:
            async for delta in response:
                ended = delta.finish is not None
                yield delta
            ended = True
        except (GeneratorExit, asyncio.CancelledError):
            raise
        except Exception as error:
            ended = True
            raise typed_error(error) from error
        finally:
            if not ended:
                with contextlib.suppress(Exception):
                    response.cancel()


class RemoteSegmentation:
    def __init__(self, handle: Any) -> None:
        self._handle = handle

    async def segment(self, volume: Volume, *, version: str | None = None) -> Segmentation:
        """The volume travels through Ray's object store, by reference between replicas."""
        return await answer_of(self._handle.segment.remote(volume, version, correlation_id()))


REMOTE: dict[str, Any] = {
    "segmentation": RemoteSegmentation,
    "embedding": RemoteEmbedding,
    "llm": RemoteLanguage,
    "entailment": RemoteEntailment,
}


def roles_from_handles(handles: Mapping[str, Any]) -> Roles:
    """Roles over handles, for example those bound into a deployment. Names that are no role are passed over."""
    return Roles(**{role: REMOTE[role](handle) for role, handle in handles.items() if role in REMOTE})


def serve_api() -> Any:
    """``ray.serve``, whose client otherwise writes a line to standard error at every step (into notebooks, too)."""
    from ray import serve

    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    return serve


def serve_roles(settings: Settings | None = None, *, app: str = APP) -> Roles:
    """Roles of the application that runs on the Ray cluster this process is connected to.

    With ``settings``, a process that is not connected yet connects to ``settings.ray.address`` or the data
    folder's own head. Blocks for a moment (it asks Serve's controller which deployments there are).

    Raises:
        Unavailable: there is no such cluster or application.
    """
    import ray

    from serving.ray_cluster import join

    serve = serve_api()

    if not ray.is_initialized() and settings is not None:
        join(settings.ray.address, None if settings.ray.address else settings)
    try:
        found = serve.status().applications.get(app)
    except Exception as error:
        raise Unavailable("Ray Serve does not answer. Start the workbench with `workbench up`.") from error
    if found is None:
        raise Unavailable(f"The application '{app}' does not run on this Ray cluster. Start it with `workbench up`.")
    return roles_from_handles({name: serve.get_deployment_handle(name, app_name=app) for name in found.deployments if name in REMOTE})
