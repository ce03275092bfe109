"""Spectra: a self-hosted security-intelligence mesh."""

__version__ = "0.1.0"
