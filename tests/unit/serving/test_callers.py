"""One role's description, and its callers made from it: in this process, and through a replica (here without Ray between)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from infra.errors import InvalidInput, TooLarge
from serving.backends.backend import Backend
from serving.backends.model_cache import ModelCache
from serving.cluster.remote import RemoteRole
from serving.cluster.replica import Replica
from serving.local import LocalRole
from serving.registry.versions import Catalogue
from serving.roles import known_roles
from serving.roles.llm import Delta, LanguageBackend, Message, WriteOptions
from serving.roles.role import Role
from tests.unit.serving.fakes import WordEmbedding, catalogue, place, version


class Echo(LanguageBackend):
    name = "fake"

    def load(self) -> None: ...

    async def write(self, messages: Sequence[Message], options: WriteOptions) -> AsyncIterator[Delta]:
        for number, word in enumerate(messages[-1].content.split()[: options.max_tokens], 1):
            yield Delta(word, self.ref, None, number)
        yield Delta("", self.ref, "stop", number)


class Handle:
    """What of a Serve handle is used: a method by name, whose arguments cross and whose answer is awaited or iterated over."""

    def __init__(self, replica: Replica, method: str = "", calls: list[tuple[Any, ...]] | None = None) -> None:
        self.replica, self.method, self.calls = replica, method, calls if calls is not None else []

    def options(self, *, method_name: str, **_: Any) -> Handle:
        return Handle(self.replica, method_name, self.calls)

    def remote(self, *arguments: Any) -> Any:
        self.calls.append(arguments)
        return getattr(self.replica, self.method)(*arguments)


def replica(name: str, backend: Any, known: Catalogue, folder: Path) -> Replica:
    found = Replica.__new__(Replica)
    found.role = known_roles()[name]
    found.local = LocalRole(found.role, ModelCache(name, lambda: known, lambda model: backend(model, place(folder)), 2))
    return found


async def test_a_batched_role_is_called_in_parts_that_fit_a_message_and_by_one_version(tmp_path: Path) -> None:
    handle = Handle(replica("embedding", WordEmbedding, catalogue("1", "2"), tmp_path))
    caller: Any = RemoteRole(known_roles()["embedding"], handle)
    texts = [f"text number {n}" for n in range(300)]
    answer = await caller.embed(texts)
    assert answer.vectors.shape == (300, 64) and answer.model.version == "1"
    assert [len(call[2]) for call in handle.calls] == [128, 128, 44] and [call[0] for call in handle.calls] == [None, "1", "1"]
    assert (await caller.embed(texts=["a"], version="2")).model.version == "2"
    assert (await caller.embed([])).vectors.shape == (0, 64)
    here = await handle.replica.local.batched(texts)
    assert np.array_equal(here.vectors, answer.vectors)
    with pytest.raises(InvalidInput, match="list of texts"):
        await caller.embed("one text")
    with pytest.raises(TooLarge, match="Split it"):
        await caller.embed(["word " * 1_000_000])


async def test_a_role_that_streams_is_iterated_over(tmp_path: Path) -> None:
    known = Catalogue({"llm": {"1": version("1", "llm")}}, {"llm": "1"})
    caller: Any = RemoteRole(known_roles()["llm"], Handle(replica("llm", Echo, known, tmp_path)))
    pieces = [piece async for piece in caller.write([Message("user", "one two three")], WriteOptions(max_tokens=2))]
    assert [piece.text for piece in pieces] == ["one", "two", ""] and pieces[-1].finish == "stop"


@pytest.mark.parametrize("arguments", [(), ("one", "two")])
def test_a_role_without_a_check_of_its_own_refuses_the_wrong_number_of_arguments(arguments: tuple[str, ...]) -> None:
    class ShoutBackend(Backend):
        def shout(self, text: str) -> str:
            return text.upper()

    class Shout(Role):
        name, method, backend, missing = "shout", "shout", ShoutBackend, "No model for shouting is installed."

    assert Shout().check("one") == ("one",)
    with pytest.raises(InvalidInput, match="wrong arguments"):
        Shout().check(*arguments)
