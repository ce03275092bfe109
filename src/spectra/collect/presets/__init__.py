"""Presets of scans: YAML files, those beside this one and those of a user. See `load`."""

from spectra.collect.presets.reading import BadPreset, load, places, read

__all__ = ["BadPreset", "load", "places", "read"]
