"""Cohorts: many scans and their table, and a study of one visit."""
