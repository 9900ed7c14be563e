"""The runs of a folder in a browser, of this machine alone."""
