"""Boxes: their arithmetic, which prediction answers for which label, suppression inside the graph."""
