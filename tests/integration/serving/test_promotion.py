"""Promotion on a real MLflow store and a real Ray Serve: no request fails, no process restarts, a bad version is refused."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra.datafolder import DataFolder
from infra.errors import Conflict, InvalidInput, NotFound
from infra.settings import Settings, load_settings
from serving.cluster.remote import APP
from serving.registry.champions import read_champions
from serving.registry.embedded import resolve
from serving.registry.mlflow_registry import CHAMPION, open_client, refresh, register_embedded
from serving.registry.promotion import find_version, list_versions, parse_ref, promote, rollback
from serving.registry.refusals import read_refusals
from serving.registry.versions import registered_name
from tests.integration.conftest import Served
from workbench.services.promotions import Promotions, _champions

pytestmark = pytest.mark.timeout(400)


def add_version(settings: Settings, role: str, source: str, **tags: str) -> str:
    """Another version of a role's champion, with its weights at ``source``."""
    client, name = open_client(settings), registered_name(role)
    first = client.get_model_version_by_alias(name, CHAMPION)
    made = client.create_model_version(name, source=first.source, tags={**first.tags, "source": source, **tags})
    return str(made.version)


def copy_of_embedding(settings: Settings, folder: Path) -> str:
    """The embedded model's folder, copied: the same vectors from another path."""
    source = resolve(open_client(settings).get_model_version(registered_name("embedding"), "1").tags["source"], role="embedding")
    shutil.copytree(source.parent, folder)
    return str(folder / source.name)


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A data folder that nobody has started a workbench in: the embedded models are there when they are first asked for."""
    settings = load_settings(home=tmp_path_factory.mktemp("promotion"))
    assert find_version(settings, "embedding@champion").ref.version == "1"
    return settings


def test_references_are_read_in_every_way_that_people_write_them() -> None:
    assert parse_ref("segmentation@champion") == parse_ref("segmentation") == ("segmentation", "champion")
    assert parse_ref("llm/3") == parse_ref("llm:3") == parse_ref("llm@3") == ("llm", "3")
    for text in ("", "nonsense", "nonsense/3", "llm/", "llm@@x"):
        with pytest.raises(InvalidInput):
            parse_ref(text)


def test_promote_keeps_the_version_before_and_rollback_returns_to_it(registered: Settings, tmp_path: Path) -> None:
    number = add_version(registered, "embedding", copy_of_embedding(registered, tmp_path / "copy"))
    with pytest.raises(NotFound, match="nothing to roll back"):
        rollback(registered, "embedding")
    assert promote(registered, f"embedding/{number}").before == "1"
    assert read_champions(registered)["embedding"].version == find_version(registered, "embedding@champion").ref.version == number
    assert find_version(registered, "embedding@previous").ref.version == "1"
    assert rollback(registered, "embedding").now.version == "1" and rollback(registered, "embedding").now.version == number
    rollback(registered, "embedding")
    cards = {(card.role, card.version): card for card in list_versions(registered)}
    assert cards["embedding", "1"].serves and cards["embedding", number].previous and not cards["embedding", number].serves
    with pytest.raises(NotFound):
        promote(registered, "embedding/99")


def test_a_team_asks_for_an_evaluation_that_passed(registered: Settings, tmp_path: Path) -> None:
    strict = load_settings(home=registered.home, mlflow={"promotion": "evaluated"})
    number = add_version(registered, "embedding", copy_of_embedding(registered, tmp_path / "copy"))
    with pytest.raises(Conflict, match="no evaluation"):
        promote(strict, f"embedding/{number}")
    client, name = open_client(registered), registered_name("embedding")
    client.set_registered_model_alias(name, CHAMPION, number)  # by hand, in MLflow
    assert refresh(strict).champions["embedding"] == "1", "the old one goes on serving"
    assert read_refusals(strict)["embedding"].version == number
    client.set_model_version_tag(name, number, "evaluation", "passed")
    assert refresh(strict).champions["embedding"] == number and not read_refusals(strict)
    client.set_registered_model_alias(name, CHAMPION, "1")
    refresh(registered)


def test_mlflows_answer_is_read() -> None:
    said = {"registered_models": [
        {"name": "workbench-llm", "aliases": [{"alias": "champion", "version": "4"}, {"alias": "other", "version": "5"}]},
        {"name": "somebody-elses", "aliases": [{"alias": "champion", "version": "1"}]}, {"name": "workbench-vlm"},
    ]}  # fmt: skip
    assert _champions(said) == {"llm": "4"} and _champions({}) == {}


async def test_a_promoted_version_serves_with_no_request_dropped_and_no_process_restarted(served: Served, tmp_path: Path) -> None:
    from ray import serve

    settings = served.settings
    await asyncio.to_thread(register_embedded, settings)
    number = await asyncio.to_thread(lambda: add_version(settings, "embedding", copy_of_embedding(settings, tmp_path / "copy")))
    services = SimpleNamespace(
        settings=settings,
        folder=DataFolder(settings.home),
        cluster=SimpleNamespace(connected=True),
        champions=lambda: read_champions(settings),
    )
    promotions = Promotions(services)  # type: ignore[arg-type]
    assert await promotions.look() == {}, "the first look changes nothing"
    handle = serve.get_deployment_handle("embedding", app_name=APP)
    pid = await handle.pid.remote()

    versions: list[str] = []
    going = True

    async def ask() -> None:
        while going:
            versions.append((await served.roles.embedding.embed(["a text"])).model.version)

    asking = [asyncio.create_task(ask()) for _ in range(4)]
    try:
        await asyncio.sleep(0.5)
        await asyncio.to_thread(promote, settings, f"embedding/{number}")
        assert await promotions.look() == {"embedding": number}
        await asyncio.sleep(0.5)

        # A version whose weights are broken: refused, and the one before it goes on.
        broken = tmp_path / "broken"
        shutil.copytree(tmp_path / "copy", broken)
        weights = broken / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1000])
        bad = await asyncio.to_thread(add_version, settings, "embedding", str(weights))
        await asyncio.to_thread(promote, settings, f"embedding/{bad}")
        assert await promotions.look() == {}
        assert read_refusals(settings)["embedding"].version == bad and read_champions(settings)["embedding"].version == number
        assert await asyncio.to_thread(refresh, settings) and read_champions(settings)["embedding"].version == number
    finally:
        going = False
        done = await asyncio.gather(*asking, return_exceptions=True)
        await asyncio.to_thread(promote, settings, "embedding/1")
        await promotions.look()
    assert done == [None] * 4, "no request failed"
    assert versions[0] == "1" and versions[-1] == number and set(versions) == {"1", number}
    assert await handle.pid.remote() == pid
    assert (await served.roles.embedding.embed(["a text"])).model.version == "1"
