"""The compliance pipeline's definition."""

from __future__ import annotations

from pipelines.compliance import stages
from pipelines.jobs.definition import Pipeline, Stage

A_DAY = 86_400.0  # two hundred pages against two hundred requirements; each call of a model has limits of its own

PIPELINE = Pipeline(
    name="compliance",
    title="Checking a document",
    stages=(
        Stage(
            "read",
            "Reading document",
            stages.read,
            weight=2.0,
            errors=("not_found", "unsupported_format", "password_protected", "corrupt_file", "too_large", "integrity"),
            seconds=A_DAY,
        ),
        Stage(
            "check",
            "Checking requirements",
            stages.check,
            weight=10.0,
            errors=("model_missing", "unavailable"),
            seconds=A_DAY,
        ),
        Stage("report", "Scoring and reporting", stages.report, weight=0.5, errors=("storage_full", "unavailable")),
    ),
)
