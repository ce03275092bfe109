"""Frozen nouns, one type per stage of the pipeline: envelope, observation, records.

`msgspec.Struct` is used instead of dataclasses because a parser makes four of these per port and a struct is made in
a tenth of the time; it also encodes and validates JSON with the path of the offending field in the error.
"""
