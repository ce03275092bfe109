"""Tests of `spectra.collect.scanners`."""
