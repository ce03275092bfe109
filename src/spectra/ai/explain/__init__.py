"""Summaries that cite what they rest on: by a model where one answers well and in time, else by rules alone."""
