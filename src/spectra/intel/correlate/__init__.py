"""From what a service says of itself to the weaknesses it has. Pure: the store hands in names and rules.

`identify` gives the names of a service's software, `rules_of` what a CVE says of each product, `match` which rules
hold, `sentence` why, in words. `families` says which products are one software under several names. `MATCHER` changes
whenever any of them decides otherwise than before, so that stored findings are made anew.
"""
