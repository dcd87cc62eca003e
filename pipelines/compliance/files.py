"""What an analysis leaves to take away: the report as PDF, Word and JSON, and its requirements as a table."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from knowledge.reading.kinds import CSV, DOCX, PDF
from pipelines.compliance.contract import ComplianceReport

FILES: Mapping[str, str] = {"report.pdf": PDF, "report.docx": DOCX, "report.json": "application/json", "requirements.csv": CSV}
"""Names of the files and their media types."""


def write_file(report: ComplianceReport, name: str) -> bytes:
    """The content of one of FILES. Blocks; a long analysis as PDF takes a few seconds."""
    if name == "report.json":
        from pipelines.compliance.export_data import report_json

        return report_json(report).encode()
    if name == "requirements.csv":
        from pipelines.compliance.export_data import report_csv

        return report_csv(report).encode("utf-8-sig")  # Excel takes it for the system's code page otherwise
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        if name == "report.pdf":
            from pipelines.compliance.export_pdf import write_pdf

            write_pdf(report, path)
        else:
            from pipelines.compliance.export_docx import write_docx

            write_docx(report, path)
        return path.read_bytes()
