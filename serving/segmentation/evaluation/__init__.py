"""Evaluation of segmentation models on scans with known labels, and on synthetic ones."""
