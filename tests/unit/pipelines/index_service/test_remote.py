"""The index service called through a Serve handle."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from infra.errors import NotFound
from infra.telemetry import correlated
from pipelines.index_service.interface import IndexService
from pipelines.index_service.remote import remote_index_service


class Handle:
    """Stands for a Serve handle: ``ask.remote`` notes the call and gives an awaitable answer."""

    def __init__(self, answer: Any) -> None:
        self.ask, self.answer, self.calls = self, answer, []

    def remote(self, *call: Any) -> asyncio.Future[Any]:
        self.calls.append(call)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if isinstance(self.answer, Exception):
            future.set_exception(self.answer)
        else:
            future.set_result(self.answer)
        return future


async def test_calls_go_to_the_replica_with_their_arguments_and_the_correlation_id():
    handle = Handle([[]])
    with correlated("c-1"):
        assert await remote_index_service(handle).search("papers", ["kidney"], k=3) == [[]]
    assert handle.calls == [("search", ("papers", ["kidney"]), {"k": 3}, "c-1")]


async def test_errors_of_the_replica_are_raised():
    with pytest.raises(NotFound, match="gone"):
        await remote_index_service(Handle(NotFound("gone"))).digest("papers")


def test_every_method_of_the_index_service_can_be_called_remotely():
    kind = type(remote_index_service(Handle(None)))
    assert all(vars(kind)[name].__doc__ == getattr(IndexService, name).__doc__ for name in IndexService.__abstractmethods__)
