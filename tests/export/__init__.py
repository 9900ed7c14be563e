"""What ships beside the package."""
