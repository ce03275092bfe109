"""From what a service says of itself to the weaknesses it has. Pure: the store hands in names and rules.

`identify` gives the names of a service's software, `rules_of` what a CVE says of each product, `match` which rules
hold, `sentence` why, in words. `families` says which products are one software under several names. `MATCHER` changes
whenever any of them decides otherwise than before, so that stored findings are made anew.
"""

from typing import Final

from spectra.intel.correlate.families import families
from spectra.intel.correlate.identify import identify, products_of
from spectra.intel.correlate.match import match
from spectra.intel.correlate.names import Known, Names, NoNames, word
from spectra.intel.correlate.reasons import sentence
from spectra.intel.correlate.rules import rules_of

MATCHER: Final = 1

__all__ = [
    "MATCHER",
    "Known",
    "Names",
    "NoNames",
    "families",
    "identify",
    "match",
    "products_of",
    "rules_of",
    "sentence",
    "word",
]
