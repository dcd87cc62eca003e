"""Who may do what in MLflow through the gateway: a table of MLflow's addresses, and the rule of each.

What the table does not name is refused. Rules check rights and ownership, and rewrite requests so that the server acts
on exactly what was checked.
"""

from workbench.services.mlflow_access.asked import Asked, Sent
from workbench.services.mlflow_access.policy import decide

__all__ = ["Asked", "Sent", "decide"]
