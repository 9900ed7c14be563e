"""Latency, memory and placement, each model in a process of its own."""
