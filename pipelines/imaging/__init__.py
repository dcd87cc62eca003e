"""Brain MRI in, measured report out: as a durable job (``pipeline.PIPELINE``) or as a function (:func:`analyze`)."""

from pipelines.imaging.inline import analyze, analyze_async

__all__ = ["analyze", "analyze_async"]
