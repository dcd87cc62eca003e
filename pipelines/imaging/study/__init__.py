"""Several sequences of one visit as one study: each analysed, brought together rigidly, lesions reported once."""

from pipelines.imaging.study.inline import analyze_study, analyze_study_async
from pipelines.imaging.study.merge import merge_study
from pipelines.imaging.study.report import Study

__all__ = ["Study", "analyze_study", "analyze_study_async", "merge_study"]
