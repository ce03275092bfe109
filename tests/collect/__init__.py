"""Tests of `spectra.collect`."""
