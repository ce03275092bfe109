"""Embedded engines: child processes Spectra starts, watches and stops, and the state of the instance itself.

`postgres.PostgresServer` is the embedded database; `lifecycle` records which process serves a data folder.
"""
