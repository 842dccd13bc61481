"""Places that keep files: one protocol and an adapter per kind of place."""
