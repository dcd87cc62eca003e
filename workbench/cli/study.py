"""``workbench analyze SCAN SCAN --study``: sequences of one visit, by the running workbench or in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cli.output import note

if TYPE_CHECKING:
    from infra.settings import Settings
    from pipelines.imaging.study import Study

    Remote = Callable[[Path, Path, Callable[[float, str], None]], object]


def study_of(scans: list[Path], out: Path, settings: Settings, remote: Remote | None, progress: Callable[[float, str], None]) -> Study:
    """Analyse each, and bring them together.

    Args:
        remote: analyses a scan into a folder by the running workbench; None where none runs.

    Raises:
        WorkbenchError: a scan cannot be used, or does not show the same head.
    """
    if remote is None:
        from infra.telemetry import configure_logging
        from pipelines.imaging.study import analyze_study

        configure_logging(level="error")
        note("No workbench is running: analysing in this process")
        return analyze_study(scans, out, settings=settings, told=lambda name, share, text: progress(share, f"{name}: {text}"))
    from pipelines.imaging.study import merge_study
    from pipelines.imaging.study.inline import naming, sequence_folders

    folders = sequence_folders(scans, out)
    for scan, (name, folder) in zip(scans, folders.items(), strict=True):
        with naming(name):
            remote(scan, folder, lambda share, text, name=name: progress(share, f"{name}: {text}"))
    return merge_study(folders, out)


def study_text(study: Study) -> str:
    """For the terminal: the lesions first, then how the sequences were brought together, then what limits it."""
    from pipelines.imaging.study.report import placement

    lines = [*study.sentences, "", *(placement(sequence, study.reference) for sequence in study.sequences)]
    return "\n".join([*lines, *(["", *study.notes] if study.notes else []), "", study.limits])
