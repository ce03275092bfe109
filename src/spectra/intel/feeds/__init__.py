"""Feeds: the files that say where an address is, checked and compiled into tables that are looked up in bulk."""

from spectra.intel.feeds.errors import FeedError
from spectra.intel.feeds.read import read, shrunk
from spectra.intel.feeds.table import Kind, Table

__all__ = ["FeedError", "Kind", "Table", "read", "shrunk"]
