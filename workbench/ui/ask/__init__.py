"""Ask: a chat over collections whose answers cite their sources."""
