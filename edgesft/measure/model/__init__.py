"""A model's file: what it is, what it holds, and why a runtime will not load it."""
