"""The creatives stage on a machine that shares no disk."""
