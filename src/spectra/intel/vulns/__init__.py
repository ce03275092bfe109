"""Feeds of weaknesses: whatever format they come in to records, and all records of a CVE to one."""

from spectra.intel.vulns.errors import VulnFeedError
from spectra.intel.vulns.merge import merge
from spectra.intel.vulns.read import Feed, Item, Kind, open_feed

__all__ = ["Feed", "Item", "Kind", "VulnFeedError", "merge", "open_feed"]
