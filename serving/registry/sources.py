"""What a model is made of: files, a folder, or a Hub repository; their digest; and the title and licence they state themselves."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

from infra.errors import InvalidInput, ModelMissing, NotFound, Unavailable
from serving.registry.versions import sha256_of

HUB = re.compile(r"hub:(?P<repo>[\w.-]+/[\w.-]+)@(?P<revision>[\w./-]+)")
WEIGHTS = (".safetensors", ".gguf", ".onnx", ".xml", ".pt2", ".ts")
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".py")
"""Opening one can run its author's code, so none is brought."""
_SIDECARS = (".json", ".txt", ".md", ".model", ".jinja")


def digest_of(path: Path) -> str:
    """sha256 of a file; of a folder, of the sorted list of its files' names and sha256."""
    if path.is_file():
        return sha256_of(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return hashlib.sha256("".join(f"{file.relative_to(path)}\0{sha256_of(file)}\n" for file in files).encode()).hexdigest()


def main_file(path: Path, suffix: str = ".safetensors") -> Path:
    """The weights in a model's folder (``model`` with the suffix, or the only file that has it); a file is itself.

    Raises:
        ModelMissing: the folder holds none, or several.
    """
    if path.is_file():
        return path
    found = sorted(path.glob(f"*{suffix}"))
    if len(found) > 1:
        found = [file for file in found if file.stem == "model"]
    if len(found) != 1:
        raise ModelMissing(f"{path} does not hold one file of weights (model{suffix}). Weights in several pieces are not read.")
    return found[0]


def bring(source: str | Path, folder: Path) -> dict[str, str]:
    """Copy a model into ``folder``, without anything that could run code, and say what it states of itself.

    Args:
        source: a folder (Hugging Face layout), a file of weights (small files that describe it are taken from beside it),
            or ``hub:ORG/NAME@REVISION``.

    Raises:
        NotFound: there is no such file, repository or revision.
        InvalidInput: it holds no weights that can be opened safely.
        Unavailable: the Hub does not answer.
    """
    if str(source).startswith("hub:"):
        name = _download(str(source), folder)
    else:
        path = Path(source).expanduser()
        name = path.stem if path.is_file() else path.resolve().name
        if not path.exists():
            raise NotFound(f"{path} is not there. Name a folder, a file of weights, or hub:ORG/NAME@REVISION.")
        if path.is_file():
            _copy_file(path, folder)
        else:
            ignored = shutil.ignore_patterns(*(f"*{suffix}" for suffix in PICKLES), ".*", "__pycache__")
            shutil.copytree(path, folder, ignore=ignored, dirs_exist_ok=True)
    if not any(file.suffix in WEIGHTS for file in folder.rglob("*") if file.is_file()):
        raise InvalidInput(
            f"There are no weights that can be opened safely in {source}: name a folder or a file with {', '.join(WEIGHTS)}. "
            "Pickles are not opened, since they run their author's code."
        )
    facts = {"title": name, **card_of(folder)}
    return {**facts, "origin": str(source)} if str(source).startswith("hub:") else facts


def card_of(path: Path) -> dict[str, str]:
    """Title and licence as the model states them: GGUF metadata, the JSON beside its weights, ``config.json``, ``README.md``.

    What it does not state is absent.
    """
    folder = path if path.is_dir() else path.parent
    facts: dict[str, str] = {}
    told: list[dict[str, Any]] = []
    for file in [path] if path.is_file() else sorted(folder.glob("*.gguf"))[:1]:
        if file.suffix == ".gguf":
            from serving.llm.gguf import read_metadata

            found = read_metadata(file)
            told.append({"title": found.get("general.name"), "licence": found.get("general.license")})
        told.append(_json(file.with_suffix(".json")))
    told += [_front_matter(folder / "README.md"), _json(folder / "model.json"), _json(folder / "config.json")]
    for card in told:
        for name, keys in (("title", ("title", "model_name", "name", "_name_or_path")), ("licence", ("licence", "license"))):
            value = next((card[key] for key in keys if isinstance(card.get(key), str) and card[key].strip()), "")
            if value and name not in facts:
                facts[name] = value.strip()[:200]
    return facts


def _copy_file(path: Path, folder: Path) -> None:
    """The weights as ``model.SUFFIX``, whatever they were called; and of the small files beside them those that describe a model."""
    if path.suffix in PICKLES:
        raise InvalidInput(f"{path.name} may be a pickle, which runs its author's code. Name a .safetensors or .gguf file.")
    shutil.copy2(path, folder / f"model{path.suffix}")
    own = path.with_suffix(".json")
    if own.is_file():
        shutil.copy2(own, folder / "model.json")
    elif path.suffix != ".gguf":  # a GGUF file holds everything itself
        for beside in path.parent.iterdir():
            if beside.is_file() and beside.suffix in _SIDECARS and beside.stat().st_size < 50_000_000:
                shutil.copy2(beside, folder / beside.name)


def _download(source: str, folder: Path) -> str:
    found = HUB.fullmatch(source)
    if found is None:
        raise InvalidInput(f"'{source}' names no model of the Hub. Write hub:ORG/NAME@REVISION (a commit, a tag or a branch).")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    wanted = [f"*{suffix}" for suffix in (*WEIGHTS, *_SIDECARS)]
    try:
        snapshot_download(found["repo"], revision=found["revision"], local_dir=folder, allow_patterns=wanted)
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise NotFound(f"The Hub has no {found['repo']} at {found['revision']}, or it needs a token (HF_TOKEN).") from error
    except Exception as error:
        raise Unavailable(
            f"{found['repo']} could not be downloaded from the Hub: {type(error).__name__}. Try again, or name a folder."
        ) from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    return found["repo"]


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _front_matter(path: Path) -> dict[str, Any]:
    """What a model card's YAML head and first heading say."""
    if not path.is_file():
        return {}
    from huggingface_hub.repocard import metadata_load

    try:
        found: dict[str, Any] = dict(metadata_load(path) or {})
        heading = re.search(r"^# +(.+)$", path.read_text(), re.MULTILINE)
    except (OSError, ValueError):
        return {}
    return {**({"title": heading[1]} if heading else {}), **found}
