"""The catalogue of items, and models that rank it."""
