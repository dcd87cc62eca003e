"""Knowledge: collections, their documents and chunks."""
