"""Embeddings and the search for the nearest of them: a Django app of its own, with the label ``chronos_vectors``."""
