"""A person's settings, and the people of this workbench."""
