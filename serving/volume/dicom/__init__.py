"""DICOM: classic slices, enhanced multi-frame files and Siemens mosaics, alone or as a heap of files."""
