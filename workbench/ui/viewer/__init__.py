"""The viewer: a page of its own that the Imaging page shows in an iframe, and the pictures it asks for."""
