"""The model file: its format, its contents, and why a runtime cannot load it."""
