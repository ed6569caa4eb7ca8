"""Adapters for frameworks and other packages, each in a file of its own that imports it."""
