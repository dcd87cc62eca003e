"""Durable jobs: pipelines of stages, run by a worker each, kept going by the runner, and their rows in the tables."""

LIVE = ("queued", "running")
"""States of a job that has not ended."""
ENDED = ("done", "failed", "cancelled")
