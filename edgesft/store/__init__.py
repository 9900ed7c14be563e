"""Content-addressed artefacts and records, written atomically."""
