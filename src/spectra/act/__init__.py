"""What Spectra does to the world outside of it."""
