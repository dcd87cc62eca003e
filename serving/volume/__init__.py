"""Reading scans: NIfTI, MGZ, NRRD, DICOM; whatever a header claims, and whoever sent it."""

from serving.volume.read import list_series, read_scan
from serving.volume.scan import ScanFile, orientation_of
from serving.volume.write import write_labels, write_scan

__all__ = ["ScanFile", "list_series", "orientation_of", "read_scan", "write_labels", "write_scan"]
