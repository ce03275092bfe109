"""Telling people: which changes are worth an alert, and how a message reaches whoever wants it."""
