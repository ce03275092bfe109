"""Patterns of reports: for each kind of scan and each purpose a folder that says how a model is asked."""
