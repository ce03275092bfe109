"""Tests of `spectra.engines`, against real processes."""
