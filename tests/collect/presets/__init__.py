"""Tests of `spectra.collect.presets`."""
