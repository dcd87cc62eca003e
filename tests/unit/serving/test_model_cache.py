"""Versions of a role: champion, least recently used out, hot swap, and nobody's model closed under them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from infra.errors import IntegrityError, ModelMissing, NotFound, Unavailable
from serving.backends.model_cache import ModelCache
from serving.registry.versions import Catalogue, ModelVersion
from serving.roles.entailment import DECIDING
from tests.unit.serving.fakes import WordEmbedding, catalogue, place


class House:
    """A catalogue that can change, and every backend made from it."""

    def __init__(self, tmp_path, *numbers: str, keep: int = 2) -> None:
        self.catalogue: Catalogue = catalogue(*numbers)
        self.made: list[WordEmbedding] = []
        self.bad: set[str] = set()

        def make(model: ModelVersion) -> WordEmbedding:
            backend = WordEmbedding(model, place(tmp_path))
            if model.ref.version in self.bad:
                backend.smoke_test = lambda: (_ for _ in ()).throw(IntegrityError("smoke"))  # type: ignore[method-assign]
            self.made.append(backend)
            return backend

        self.cache = ModelCache("embedding", lambda: self.catalogue, make, keep)

    async def ask(self, version: str | None = None) -> str:
        async with self.cache.use(version) as backend:
            backend.embed(["a"])
            return backend.ref.version

    @property
    def open(self) -> list[str]:
        return [backend.ref.version for backend in self.made if backend.loaded]


async def test_the_champion_answers_where_no_version_is_named(tmp_path) -> None:
    house = House(tmp_path, "1", "2")
    assert await house.ask() == "1"
    assert await house.ask("2") == "2"
    assert house.open == ["1", "2"]


async def test_the_reader_that_decides_answers_where_there_is_one_and_else_the_champion(tmp_path) -> None:
    house = House(tmp_path, "1", "2")
    assert await house.ask(DECIDING) == "1"
    house.catalogue = replace(house.catalogue, deciding={"embedding": house.catalogue.versions["embedding"]["2"]})
    await house.cache.refresh()
    assert await house.ask(DECIDING) == "2"
    assert await house.ask() == "1"


async def test_the_least_recently_used_is_put_away_but_never_the_champion(tmp_path) -> None:
    house = House(tmp_path, "1", "2", "3")
    for version in (None, "2", "3"):
        await house.ask(version)
    assert sorted(house.open) == ["1", "3"]


async def test_a_version_in_use_stays_open_until_its_users_are_done(tmp_path) -> None:
    house = House(tmp_path, "1", "2", "3", keep=1)
    async with house.cache.use("2") as backend:
        await house.ask("3")
        await house.ask()
        assert len(backend.embed(["still here"])) == 1
    assert house.open == ["1"]


async def test_many_first_calls_load_a_version_once(tmp_path) -> None:
    house = House(tmp_path, "1")
    assert await asyncio.gather(*[house.ask() for _ in range(20)]) == ["1"] * 20
    assert len(house.made) == 1


async def test_a_promotion_swaps_while_the_old_one_still_answers(tmp_path) -> None:
    house = House(tmp_path, "1", "2", keep=1)
    assert await house.ask() == "1"
    house.catalogue = catalogue("1", "2", champion="2")
    async with house.cache.use() as old:
        assert (await house.cache.refresh()).version == "2"
        assert old.ref.version == "1" and len(old.embed(["x"])) == 1
        assert await house.ask() == "2"
    assert house.open == ["2"]


async def test_a_version_that_fails_its_smoke_test_never_serves_and_the_old_one_goes_on(tmp_path) -> None:
    house = House(tmp_path, "1", "2")
    await house.ask()
    house.bad = {"2"}
    house.catalogue = catalogue("1", "2", champion="2")
    with pytest.raises(IntegrityError):
        await house.cache.refresh()
    assert await house.ask() == "1"
    assert house.open == ["1"]


async def test_a_version_registered_later_is_found(tmp_path) -> None:
    house = House(tmp_path, "1")
    await house.ask()
    with pytest.raises(NotFound, match="Known versions: 1"):
        await house.ask("9")
    house.catalogue = catalogue("1", "9")
    assert await house.ask("9") == "9"


async def test_a_backend_whose_thread_died_is_replaced_by_the_next_call(tmp_path) -> None:
    house = House(tmp_path, "1")
    await house.ask()
    house.made[0].alive = False
    assert not house.cache.healthy()
    assert await house.ask() == "1"
    assert house.cache.healthy() and len(house.made) == 2 and not house.made[0].loaded


async def test_a_role_without_models_says_so(tmp_path) -> None:
    house = House(tmp_path)
    house.catalogue = Catalogue({}, {})
    with pytest.raises(ModelMissing):
        await house.ask()


async def test_closed_is_closed(tmp_path) -> None:
    house = House(tmp_path, "1")
    await house.ask()
    await house.cache.close()
    assert house.open == []
    with pytest.raises(Unavailable):
        await house.ask()
