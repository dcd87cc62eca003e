"""Registering a model of one's own: read, copied into the data folder, tried, and only then a version in MLflow."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from infra.datafolder import DataFolder
from infra.errors import InvalidInput, NotFound
from infra.settings import Settings
from serving.backends.table import make_backend
from serving.contracts import ROLES, ModelRef
from serving.registry import create_version, ensure_model, find_same, one_at_a_time, open_client, refresh
from serving.versions import ModelVersion, registered_name, sha256_of


def register(settings: Settings, path: Path, role: str, *, title: str = "") -> ModelVersion:
    """A new version of ``role``; the champion stays what it was. The same model again is the version that it was.

    For the role segmentation a MONAI bundle (its folder), an exported program or TorchScript file with its
    ``metadata.json`` beside it, or weights of our own network (safetensors with their JSON). For the others, weights
    that the role's backend loads (a safetensors file with its folder, a GGUF file).

    Raises:
        NotFound, InvalidInput: it cannot be read, would run code, or says too little of itself.
        WorkbenchError: it does not load, or fails its smoke test.
    """
    if role not in ROLES:
        raise InvalidInput(f"There is no role '{role}'. Roles are {', '.join(ROLES)}.")
    if not path.exists():
        raise NotFound(f"{path} is not there. Check its name.")
    with _prepared(settings, path, role, title) as model:
        try_out(settings, model)
    with one_at_a_time(settings):
        client = open_client(settings)
        ensure_model(client, role)
        number = find_same(client, model) or create_version(client, settings, model)
    refresh(settings)
    return replace(model, ref=replace(model.ref, version=number))


def try_out(settings: Settings, model: ModelVersion) -> None:
    """Load it where it would serve, and let it pass its smoke test. Raises what the backend raises."""
    backend = make_backend(settings, model)
    try:
        backend.load()
        backend.smoke_test()
    finally:
        backend.close()


@contextlib.contextmanager
def _prepared(settings: Settings, path: Path, role: str, title: str) -> Iterator[ModelVersion]:
    """The version with its files in the data folder (removed again where the block fails, unless they were there)."""
    shelf = DataFolder(settings.home).make().home / "models" / role
    shelf.mkdir(parents=True, exist_ok=True)
    work = shelf / ".incoming"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        main, backend, facts, key = _bring(settings, path, role, work)
        place = shelf / key[:16]
        new = not place.exists()
        if new:
            work.replace(place)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    digest = sha256_of(place / main.relative_to(work))
    ref = ModelRef(role, registered_name(role), "candidate", digest, backend, settings.model(role).device)
    facts = {"title": title or facts.get("title", "") or path.name, **{key: value for key, value in facts.items() if key != "title"}}
    try:
        yield ModelVersion(ref, str(place / main.relative_to(work)), facts)
    except BaseException:
        if new:
            shutil.rmtree(place, ignore_errors=True)
        raise


def _bring(settings: Settings, path: Path, role: str, work: Path) -> tuple[Path, str, dict[str, str], str]:
    """Copy what serves into ``work``: its main file, its backend, facts for people, and the digest of what it was made from."""
    own = path.is_file() and path.suffix == ".safetensors" and path.with_suffix(".json").is_file()
    if role == "segmentation" and not own:
        return _bring_bundle(settings, path, work)
    backend = settings.model(role).backend
    if backend == "none" or path.is_dir() or path.suffix in (".pt", ".pth", ".bin", ".pkl", ".ckpt"):
        raise InvalidInput(
            f"For the role {role}, name the weights that its backend loads: a .safetensors or .gguf file. Pickles are not opened."
        )
    if role == "embedding":  # its tokenizer and config lie beside it
        for beside in path.parent.iterdir():
            if beside.is_file() and beside.suffix in (".json", ".txt") and beside.stat().st_size < 50_000_000:
                shutil.copy2(beside, work / beside.name)
    elif path.with_suffix(".json").is_file():
        shutil.copy2(path.with_suffix(".json"), work / f"{path.stem}.json")
    shutil.copy2(path, work / path.name)
    return work / path.name, backend, {}, sha256_of(work / path.name)


def _bring_bundle(settings: Settings, path: Path, work: Path) -> tuple[Path, str, dict[str, str], str]:
    from serving.segmentation.bundle import read_metadata
    from serving.segmentation.bundle_program import find_program, load_program

    folder = path if path.is_dir() else path.parent
    metadata = _first(folder, "configs/metadata.json", *([f"{path.stem}.json"] if path.is_file() else []), "metadata.json")
    if metadata is None:
        raise InvalidInput("There is no metadata: a bundle has configs/metadata.json, and a program needs a metadata.json beside it.")
    bundle = read_metadata(metadata, _first(folder, "configs/inference.json", "configs/inference.yaml", "inference.json"))
    program = find_program(path) if path.is_dir() else path
    network = load_program(program, bundle)  # refuses what would run code, before anything is copied
    shutil.copy2(program, work / f"model{program.suffix}")
    # What is converted is not the same to the byte every time: what it is converted from says whether it is here already.
    said = json.dumps(bundle.as_dict(), sort_keys=True) + sha256_of(program)
    key = hashlib.sha256(said.encode()).hexdigest()
    converted = _convert(network, bundle, work / "openvino")
    files = {str(file.relative_to(work)): sha256_of(file) for file in sorted(work.rglob("*")) if file.is_file()}
    bundle = replace(bundle, program=f"model{program.suffix}", files=files)
    main = work / "bundle.json"
    main.write_text(json.dumps(bundle.as_dict(), indent=1, sort_keys=True))
    backend = "bundle-openvino" if converted and settings.model("segmentation").device == "cpu" else "bundle-torch"
    return main, backend, {"title": f"{bundle.name} {bundle.version}".strip(), "notes": " ".join(bundle.notes)}, key


def _convert(network: Any, bundle: Any, target: Path) -> bool:
    """The network for OpenVINO, in the window that it sees; False where it cannot be converted."""
    import openvino as ov
    import torch

    shape = (1, len(bundle.channels), *bundle.window)
    try:
        given = network
        if not isinstance(network, torch.jit.ScriptModule):
            given = torch.jit.trace(network, torch.zeros(shape), check_trace=False)
        model = ov.convert_model(given, example_input=torch.zeros(shape), input=[ov.PartialShape(list(shape))])
        target.mkdir()
        ov.save_model(model, target / "model.xml", compress_to_fp16=False)
        return True
    except Exception:
        shutil.rmtree(target, ignore_errors=True)
        return False


def _first(folder: Path, *names: str) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)
