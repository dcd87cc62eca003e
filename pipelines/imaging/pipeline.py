"""The imaging pipeline's definition."""

from __future__ import annotations

from pipelines.imaging import stages
from pipelines.jobs.definition import Pipeline, Stage

_READING = ("invalid_input", "unsupported_format", "corrupt_file", "too_large", "not_found")

_SEGMENTING = ("not_a_brain_mri", "model_missing", "unavailable", "timeout")


PIPELINE = Pipeline(
    name="imaging",
    title="Brain MRI report",
    stages=(
        Stage("receive", "Reading scan", stages.receive, weight=1.0, errors=_READING),
        Stage("check", "Checking scan", stages.check, weight=0.3, errors=("invalid_input",)),
        Stage("segment", "Segmentation and measurement", stages.segment, weight=6.0, errors=_SEGMENTING),
        Stage("write", "Writing report", stages.write, weight=0.1),
        Stage("verify", "Verifying report", stages.verify, weight=0.5),
        Stage("store", "Saving results", stages.store, weight=1.5, errors=("storage_full",)),
        Stage("notify", "Sending notification", stages.notify, weight=0.05),
    ),
    # The name of "segment" in jobs that were begun before it was renamed: they finish by their own plan.
    retired={"see": Stage("see", "Segmentation and measurement", stages.segment, weight=6.0, errors=_SEGMENTING)},
)
