"""What runs a model: the base class (backend.py), finding backends (table.py), and the cache of loaded versions."""
