"""Many scans at once: a folder or a BIDS dataset in; one table, one quality page and the files of every scan out."""

from pipelines.imaging.cohort.inline import analyze_cohort, analyze_cohort_async
from pipelines.imaging.cohort.scans import CohortScan, FoundScans, find_scans

__all__ = ["CohortScan", "FoundScans", "analyze_cohort", "analyze_cohort_async", "find_scans"]
