"""The ingestion pipeline's definition."""

from __future__ import annotations

from pipelines.ingestion import stages
from pipelines.jobs.definition import Pipeline, Stage

A_DAY = 86_400.0  # a job may have many documents; within it each document, and each call of a model, has limits of its own

PIPELINE = Pipeline(
    name="ingestion",
    title="Adding documents",
    stages=(
        Stage("list", "Listing documents", stages.list_documents, weight=0.5, errors=("not_found",), seconds=A_DAY),
        Stage(
            "ingest",
            "Reading, embedding and indexing",
            stages.ingest,
            weight=20.0,
            errors=("not_found", "model_missing", "conflict", "storage_full", "unavailable", "timeout"),
            seconds=A_DAY,
        ),
        Stage(
            "extract",
            "Extracting requirements",
            stages.extract,
            weight=0.5,
            errors=("not_found", "unavailable"),
            seconds=A_DAY,
        ),
        Stage("notify", "Sending notification", stages.notify, weight=0.2, errors=("not_found",)),
    ),
)
