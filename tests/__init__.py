"""Tests mirror `src/spectra`: one file per source file; each test says in a docstring what it proves."""
