"""The Gradio pages: layout and wiring. What they do is a function in ``workbench/services`` or ``pipelines``."""
