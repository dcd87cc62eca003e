"""Evaluating a registered version: the role's one table, kept on the version's own run in MLflow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.errors import InvalidInput, NotFound
from infra.settings import Settings
from serving.backends.table import make_backend
from serving.registry.embedded import resolve
from serving.registry.mlflow_registry import EVALUATION, open_client, refresh
from serving.registry.promotion import find_version
from serving.registry.versions import ModelVersion, registered_name

if TYPE_CHECKING:
    from serving.segmentation.evaluation.evaluate import Row


@dataclass(frozen=True)
class Evaluated:
    """The rows of the table, and whether every measure that must be met was; None where only a part was measured."""

    model: ModelVersion
    rows: tuple[Row, ...]
    passed: bool | None

    def as_dict(self) -> dict[str, Any]:
        rows = [{**asdict(row), "passed": row.passed} for row in self.rows]
        return {"model": self.model.ref.as_dict(), "passed": self.passed, "rows": rows}


def evaluate_version(
    settings: Settings, text: str, data: Path, *, only: str = "", peer: bool = True, show: Callable[[Row], None] = lambda row: None
) -> Evaluated:
    """Measure the version that ``text`` names (``segmentation@champion``) on the scans below ``data``, and keep it in MLflow.

    Args:
        only: part of a measure's name, to measure just those (the version is then neither passed nor missed).
        peer: whether brainchop is measured beside it.
        show: called with each row as it comes.

    Raises:
        NotFound: there is no such version, or nothing to measure on.
        InvalidInput: the role has no table.
    """
    model = find_version(settings, text)
    if model.ref.role != "segmentation":
        raise InvalidInput(f"Of the role {model.ref.role} no version is evaluated alone yet: see `workbench evaluate` for whole pipelines.")
    if not data.is_dir():
        raise NotFound(f"{data} is not a folder. Name one that is laid out as ../shared/data/mri is.")
    rows = _measure(settings, model, data, only, peer, show)
    if not rows:
        raise NotFound(f"Nothing in {data} could be measured on. It must be laid out as ../shared/data/mri is.")
    passed = None if only else all(row.passed is not False for row in rows)
    found = Evaluated(model, tuple(rows), passed)
    _keep(settings, found)
    return found


def _measure(settings: Settings, model: ModelVersion, data: Path, only: str, peer: bool, show: Callable[[Row], None]) -> list[Row]:
    from serving.segmentation.backends import open_backend
    from serving.segmentation.evaluation.evaluate import evaluate
    from serving.segmentation.inference import Segmenter

    if model.ref.backend in ("openvino", "torch"):
        weights = resolve(model.source, role=model.ref.role)
        segmenter = Segmenter(open_backend(model.ref.backend, model.ref.device, weights), model.ref)
        return evaluate(data, segmenter, weights, peer, only, show)
    backend = make_backend(settings, model)
    backend.load()
    try:
        return evaluate(data, backend, peer=peer, only=only, show=show, own=False)  # pyright: ignore[reportArgumentType] - it segments
    finally:
        backend.close()


def _keep(settings: Settings, found: Evaluated) -> None:
    """Metrics and the table on the version's run; what it passed as a tag of the version."""
    client, name, number = open_client(settings), registered_name(found.model.ref.role), found.model.ref.version
    run = client.get_model_version(name, number).run_id
    if run:
        for row in found.rows:
            if row.value is not None:
                client.log_metric(run, "".join(c if c.isalnum() or c in "_-. /" else "_" for c in row.measure), row.value)
        client.log_dict(run, found.as_dict(), "evaluation.json")
    client.set_model_version_tag(name, number, "evaluated_at", datetime.now(UTC).isoformat(timespec="seconds"))
    if found.passed is not None:
        client.set_model_version_tag(name, number, EVALUATION, "passed" if found.passed else "missed")
        refresh(settings)  # a version that waited for this may serve now
