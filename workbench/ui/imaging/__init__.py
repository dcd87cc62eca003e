"""Imaging: upload a scan, follow its stages, read its report."""
