"""A small agent that keeps all it does through the storage: ``python -m project.demo``."""
