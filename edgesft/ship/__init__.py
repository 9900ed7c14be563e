"""What ships to a device: the bundle with its receipt, and what proves that it arrived whole (`export/BUNDLE.md`)."""
