"""`python -m spectra`."""

from spectra.cli.main import main

if __name__ == "__main__":
    main()
