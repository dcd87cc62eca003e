"""Model roles on Ray Serve, their backends, and their versions in MLflow.

``from serving import connect`` is for people; light until it is called.
"""

from serving.connect import Connection, Writing, connect

__all__ = ["Connection", "Writing", "connect"]
