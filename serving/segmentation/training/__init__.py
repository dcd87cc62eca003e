"""Training of the embedded segmentation network. Not in the wheel."""
