"""The imaging pipeline's definition."""

from __future__ import annotations

from pipelines.definition import Pipeline, Stage
from pipelines.imaging import stages

_READING = ("invalid_input", "unsupported_format", "corrupt_file", "too_large", "not_found")

PIPELINE = Pipeline(
    name="imaging",
    title="Brain MRI report",
    stages=(
        Stage("receive", "Reading the scan", stages.receive, weight=1.0, errors=_READING),
        Stage("check", "Checking the scan", stages.check, weight=0.3, errors=("invalid_input",)),
        Stage(
            "see",
            "Finding and measuring structures",
            stages.see,
            weight=6.0,
            errors=("not_a_brain_mri", "model_missing", "unavailable", "timeout"),
        ),
        Stage("write", "Writing the report", stages.write, weight=0.1),
        Stage("verify", "Checking every sentence", stages.verify, weight=0.5),
        Stage("store", "Drawing and printing", stages.store, weight=1.5, errors=("storage_full",)),
        Stage("notify", "Telling you", stages.notify, weight=0.05),
    ),
)
