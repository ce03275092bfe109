"""Texts about weaknesses as vectors, with nothing to download: a fixed embedder, and one learned from the texts."""
