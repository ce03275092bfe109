"""Fixtures that several rooms import."""
