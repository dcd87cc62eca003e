"""Requirements: read out of policies, written by hand, or imported from a file."""

from knowledge.requirements.contract import MODALITIES, SEVERITIES, Modality, Policy, Requirement, Severity, Source
from knowledge.requirements.extraction import extract_requirements
from knowledge.requirements.files import read_requirements_file

__all__ = [
    "MODALITIES",
    "SEVERITIES",
    "Modality",
    "Policy",
    "Requirement",
    "Severity",
    "Source",
    "extract_requirements",
    "read_requirements_file",
]
