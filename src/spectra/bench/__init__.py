"""`spectra bench`: the service levels, measured on this machine against a baseline of the same run.

Like the composition root it may import every room; unlike any other but the store it holds SQL, the baseline's.
"""
