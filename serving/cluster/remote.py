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
from serving.roles import Roles, known_roles
from serving.roles.role import Role

log = logger(__name__)

APP = "workbench"

CALL_BYTES = 1_000_000
"""Texts of one call, in UTF-8. Serve's replicas refuse messages above 4 MB, and so does the caller of their answers."""
REFRESH_SECONDS = 300.0
"""To load and test a version beside the old one."""
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


class RemoteRole:
    """A role whose replicas run on Ray Serve, called by the role's own method."""

    def __init__(self, role: Role, handle: Any) -> None:
        self.role = role
        self._handle = handle.options(method_name="stream", stream=True) if role.kind == "stream" else handle.options(method_name="call")
        setattr(self, role.method, {"single": self.single, "batched": self.batched, "stream": self.stream}[role.kind])

    async def batched(self, *arguments: Any, version: str | None = None, **named: Any) -> Any:
        """Raises TooLarge where one item is too long for a message."""
        [items] = self.role.check(*arguments, **named)
        parts: list[Any] = []
        for part in in_calls([self.role.size(item) for item in items], self.role.call_items):
            # One version throughout, whatever is promoted meanwhile: rows of two models do not compare.
            asked = parts[0].model.version if parts else version
            parts.append(await answer_of(self._handle.remote(asked, correlation_id(), items[part])))
        return self.role.answer(np.concatenate([self.role.rows(part) for part in parts]), parts[0].model)

    async def single(self, *arguments: Any, version: str | None = None, **named: Any) -> Any:
        """Large arguments (a volume) travel through Ray's object store, by reference between replicas."""
        return await answer_of(self._handle.remote(version, correlation_id(), *self.role.check(*arguments, **named)))

    async def stream(self, *arguments: Any, version: str | None = None, **named: Any) -> AsyncIterator[Any]:
        """Closing the iterator stops the model on the replica."""
        response = self._handle.remote(version, correlation_id(), *self.role.check(*arguments, **named))
        ended = False
        try:
            async for piece in response:
                ended = piece.finish is not None
                yield piece
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


def roles_from_handles(handles: Mapping[str, Any]) -> Roles:
    """Roles over handles, for example those bound into a deployment. Names that are no role are passed over."""
    return Roles(**{name: RemoteRole(role, handles[name]) for name, role in known_roles().items() if name in handles})


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

    from serving.cluster.head import join

    serve = serve_api()

    if not ray.is_initialized() and settings is not None:
        join(settings.ray.address, None if settings.ray.address else settings)
    try:
        found = serve.status().applications.get(app)
    except Exception as error:
        raise Unavailable("Ray Serve does not answer. Start the workbench with `workbench up`.") from error
    if found is None:
        raise Unavailable(f"The application '{app}' does not run on this Ray cluster. Start it with `workbench up`.")
    return roles_from_handles(
        {name: serve.get_deployment_handle(name, app_name=app) for name in found.deployments if name in known_roles()}
    )


async def refresh_replicas(role: str) -> list[str]:
    """The version that each replica serves afterwards.

    Raises:
        WorkbenchError: a replica could not load it; it goes on with what it had.
    """
    handle = serve_api().get_deployment_handle(role, app_name=APP)
    try:
        answers = await handle.broadcast("refresh").results_async(timeout_s=REFRESH_SECONDS, return_exceptions=True)
    except Exception as error:
        raise typed_error(error) from error
    for answer in answers:
        if isinstance(answer, BaseException):
            raise typed_error(answer) from answer
    return [str(answer["version"]) for answer in answers]


def passing(error: WorkbenchError) -> bool:
    """Whether the error is of the moment (the replica is starting), and says nothing of the version."""
    return error.retryable
