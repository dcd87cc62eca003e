"""Registering models of one's own: folders, files and the Hub; at once and again; under their own title and licence."""

from __future__ import annotations

import gc
import json
import shutil
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.errors import IntegrityError, InvalidInput, NotFound, Unavailable
from infra.settings import Settings, load_settings
from serving.backends.model_cache import ModelCache
from serving.backends.table import make_backend
from serving.local import LocalRole
from serving.registry import sources
from serving.registry.champions import read_catalogue
from serving.registry.embedded import EMBEDDED, embedded_version, resolve
from serving.registry.registration import register
from serving.roles import known_roles
from tests.unit.serving.fakes import WordEmbedding, catalogue, place

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings whose MLflow is made once."""
    return load_settings(home=tmp_path_factory.mktemp("registry"))


def encoder(folder: Path, *, licence: str = "mit", title: str = "Our encoder") -> Path:
    """The embedded encoder's folder as a team's own would lie in its files, with a model card."""
    shutil.copytree(resolve(EMBEDDED["embedding"].source, role="embedding").parent, folder)
    (folder / "README.md").write_text(f"---\nlicense: {licence}\nlanguage: en\n---\n# {title}\n\nWhat it is for.\n")
    (folder / "training.py").write_text("raise SystemExit")
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    return folder


def test_a_hugging_face_folder_is_registered_with_its_own_title_and_licence_and_a_digest_over_all_files(
    registry: Settings, tmp_path: Path
) -> None:
    model = register(registry, encoder(tmp_path / "mine"), "embedding")
    assert model.facts["title"] == "Our encoder" and model.facts["licence"] == "mit"
    stored = Path(model.source)
    assert stored.is_dir() and not list(stored.glob("*.py")) and not list(stored.glob("*.bin"))
    assert read_catalogue(registry).versions["embedding"][model.ref.version] == model
    with (stored / "tokenizer.json").open("a") as file:
        file.write(" ")
    with pytest.raises(IntegrityError, match="not those"):
        make_backend(registry, model).load()
    shutil.rmtree(stored)


def test_the_same_weights_under_another_name_are_the_same_version(registry: Settings, tmp_path: Path) -> None:
    folder = encoder(tmp_path / "one", title="Named once")
    first = register(registry, folder / "model.safetensors", "embedding")
    (folder / "model.safetensors").rename(folder / "other-name.safetensors")
    assert register(registry, folder / "other-name.safetensors", "embedding").ref == first.ref


def test_registrations_at_once_do_not_disturb_each_other(registry: Settings, tmp_path: Path) -> None:
    folders = [encoder(tmp_path / f"m{n}", title=f"Number {n % 2}") for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        models = list(pool.map(lambda folder: register(registry, folder, "embedding"), folders))
    assert models[0].ref == models[2].ref and models[1].ref == models[3].ref and models[0].ref != models[1].ref
    assert all(Path(model.source, "tokenizer.json").is_file() for model in models)
    assert not list((registry.home / "models" / "embedding").glob(".incoming-*"))


def test_what_cannot_be_opened_safely_or_is_not_there_is_refused_and_leaves_nothing(registry: Settings, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "pytorch_model.bin").write_bytes(b"a pickle")
    before = sorted((registry.home / "models").rglob("*"))
    for source in (tmp_path / "bad", tmp_path / "bad" / "pytorch_model.bin", "hub:no-revision"):
        with pytest.raises(InvalidInput):
            register(registry, source, "embedding")
    with pytest.raises(NotFound, match="not there"):
        register(registry, tmp_path / "nothing", "embedding")
    broken = encoder(tmp_path / "broken")
    (broken / "tokenizer.json").unlink()
    with pytest.raises(Exception):  # noqa: B017 - whatever the tokenizer's library raises
        register(registry, broken, "embedding")
    assert sorted((registry.home / "models").rglob("*")) == before


def test_a_model_of_the_hub_is_downloaded_at_its_revision(registry: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Hub's client is replaced: there is no Hub in tests. It answers with a local folder, or as it does without a network."""
    import huggingface_hub

    asked: list[tuple[str, str]] = []

    def download(repo: str, *, revision: str, local_dir: Path, allow_patterns: list[str]) -> None:
        asked.append((repo, revision))
        if repo == "a/gone":
            raise ConnectionError
        assert "*.safetensors" in allow_patterns and "*.bin" not in allow_patterns and "*.py" not in allow_patterns
        shutil.copytree(encoder(tmp_path / "hub", title="From the Hub"), local_dir, dirs_exist_ok=True)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    model = register(registry, "hub:our-team/encoder@v1.2", "embedding")
    assert asked == [("our-team/encoder", "v1.2")]
    assert (model.facts["origin"], model.facts["title"]) == ("hub:our-team/encoder@v1.2", "From the Hub")
    with pytest.raises(Unavailable, match="could not be downloaded"):
        register(registry, "hub:a/gone@main", "embedding")


def test_a_gguf_file_and_a_json_beside_weights_say_what_they_are(tmp_path: Path) -> None:
    source = resolve(EMBEDDED["llm"].source, role="llm")
    facts = sources.bring(source, tmp_path)
    assert facts == {"title": "Smollm2 135M 8k Lc100K Mix1 Ep2", "licence": "apache-2.0"}
    assert sources.main_file(tmp_path, ".gguf").name == "model.gguf"
    (tmp_path / "w.safetensors").touch()
    (tmp_path / "w.json").write_text(json.dumps({"title": "Ours", "licence": "CC-BY-4.0"}))
    assert sources.card_of(tmp_path / "w.safetensors") == {"title": "Ours", "licence": "CC-BY-4.0"}


def test_weights_that_the_settings_name_are_not_called_minilm(tmp_path: Path) -> None:
    folder = encoder(tmp_path / "mine", licence="cc-by-nc-4.0")
    for source in (folder, folder / "model.safetensors"):
        model = embedded_version(load_settings(models={"embedding": {"backend": "openvino", "source": str(source)}}), "embedding")
        assert model.facts == {"title": "Our encoder", "licence": "cc-by-nc-4.0"} and model.ref.digest


async def test_a_version_that_was_put_away_is_freed(tmp_path: Path) -> None:
    made: list[weakref.ref[WordEmbedding]] = []

    def make(model):
        backend = WordEmbedding(model, place(tmp_path))
        made.append(weakref.ref(backend))
        return backend

    role = LocalRole(known_roles()["embedding"], ModelCache("embedding", lambda: catalogue("1", "2", "3"), make, 1))
    for version in (None, "2", "3"):
        await role.embed(["a text"], version=version)
    gc.collect()
    assert [found() is not None for found in made] == [True, False, False], "only the champion is still there"
