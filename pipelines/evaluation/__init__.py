"""Whole pipelines held against development data, as tables: ``workbench evaluate``."""
