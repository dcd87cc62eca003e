"""Roles whose models run on Ray Serve: typed, asynchronous, with errors as :mod:`infra.errors` has them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from infra.errors import Unavailable, WorkbenchError, find_workbench_error
from infra.settings import Settings
from infra.telemetry import correlation_id
from serving.contracts import Delta, Embeddings, Entailment, Message, Segmentation, Volume, WriteOptions, checked_pairs
from serving.roles import Roles

APP = "workbench"


def typed_error(error: BaseException) -> WorkbenchError:
    """The error of :mod:`infra.errors` that a failed Serve call means."""
    found = find_workbench_error(error)
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
    return WorkbenchError(f"The model failed: {type(error).__name__}. The replica's log says more (`workbench logs`).")


async def answer_of(response: Any) -> Any:
    """The result of a ``DeploymentResponse``; a caller that is cancelled cancels the call."""
    try:
        return await response
    except asyncio.CancelledError:
        response.cancel()
        raise
    except Exception as error:
        raise typed_error(error) from error


def by_value(handle: Any, method: str) -> Any:
    """One method of a deployment, called over gRPC and not as a Ray task: 1.2 ms less for what is small (measured).

    Plain pickle takes 0.7 ms less again than Serve's cloudpickle: all that crosses is of classes that both sides import.
    """
    return handle.options(method_name=method, _by_reference=False, request_serialization="pickle", response_serialization="pickle")


class RemoteEmbedding:
    def __init__(self, handle: Any) -> None:
        self._embed = by_value(handle, "embed")

    async def embed(self, texts: Sequence[str], *, version: str | None = None) -> Embeddings:
        texts = texts if isinstance(texts, str) else list(texts)
        return await answer_of(self._embed.remote(texts, version, correlation_id()))


class RemoteEntailment:
    def __init__(self, handle: Any) -> None:
        self._entail = by_value(handle, "entail")

    async def entail(self, pairs: Sequence[tuple[str, str]], *, version: str | None = None) -> Entailment:
        return await answer_of(self._entail.remote(checked_pairs(pairs), version, correlation_id()))


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
