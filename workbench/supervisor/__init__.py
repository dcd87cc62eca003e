"""``workbench up``: starts Ray, the models, the gateway and MLflow, watches them, and stops them."""
