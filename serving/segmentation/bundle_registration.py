"""A MONAI bundle or an exported program, copied and converted so that the bundle backends can serve it."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from infra.errors import InvalidInput, NotFound
from infra.settings import Settings
from serving.registry.versions import sha256_of
from serving.segmentation.bundle import Bundle


def is_bundle(source: str | Path) -> bool:
    """Whether this is for the bundle backends, and not weights of our own network (safetensors with their JSON)."""
    path = Path(source).expanduser()
    own = path.is_file() and path.suffix == ".safetensors" and path.with_suffix(".json").is_file()
    return not own and not str(source).startswith("hub:")


def bring_bundle(settings: Settings, path: Path, folder: Path) -> tuple[Path, str, str, dict[str, str]]:
    """Its main file in ``folder``, its backend, a key that is the same for the same bundle, and facts for people.

    Raises:
        NotFound: it is not there, or holds no model.
        InvalidInput: it would run code, or its metadata do not say enough.
    """
    from serving.segmentation.bundle import read_metadata
    from serving.segmentation.bundle_program import find_program, load_program

    if not path.exists():
        raise NotFound(f"{path} is not there. Check its name.")
    home = path if path.is_dir() else path.parent
    metadata = _first(home, "configs/metadata.json", *([f"{path.stem}.json"] if path.is_file() else []), "metadata.json")
    if metadata is None:
        raise InvalidInput("There is no metadata: a bundle has configs/metadata.json, and a program needs a metadata.json beside it.")
    bundle = read_metadata(metadata, _first(home, "configs/inference.json", "configs/inference.yaml", "inference.json"))
    program = find_program(path) if path.is_dir() else path
    network = load_program(program, bundle)  # refuses what would run code, before anything is copied
    shutil.copy2(program, folder / f"model{program.suffix}")
    # What is converted is not the same to the byte every time: what it is converted from says whether it is here already.
    key = hashlib.sha256((json.dumps(bundle.as_dict(), sort_keys=True) + sha256_of(program)).encode()).hexdigest()
    converted = _convert(network, bundle, folder / "openvino")
    files = {str(file.relative_to(folder)): sha256_of(file) for file in sorted(folder.rglob("*")) if file.is_file()}
    bundle = replace(bundle, program=f"model{program.suffix}", files=files)
    main = folder / "bundle.json"
    main.write_text(json.dumps(bundle.as_dict(), indent=1, sort_keys=True))
    backend = "bundle-openvino" if converted and settings.model("segmentation").device == "cpu" else "bundle-torch"
    licence = json.loads(metadata.read_text()).get("license") or json.loads(metadata.read_text()).get("licence") or ""
    facts = {"title": f"{bundle.name} {bundle.version}".strip(), "notes": " ".join(bundle.notes), "licence": str(licence)[:200]}
    return main, backend, key, {name: value for name, value in facts.items() if value}


def _convert(network: Any, bundle: Bundle, target: Path) -> bool:
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
