"""STIX documents held against the validator of OASIS, with the schemas that it brings."""

from __future__ import annotations

from typing import Any, Final

import stix2validator

# Advice of the standard that ours does not follow. 103: ids drawn by chance (version 4); ours follow from what an
# object is, as section 2.9 allows. 301: the port that a connection came from, which a scan does not tell.
_NOT_OURS: Final = "103,301"
# The names of services are those that scanners have for them, which are not always in IANA's list.
_OF_SCANNERS: Final = "272"


def wrong_in(text: str, *, registered: bool = False) -> list[str]:
    """What is not as it must be, or should be, in a bundle; `registered`: its protocols are all in IANA's list."""
    disabled = _NOT_OURS if registered else f"{_NOT_OURS},{_OF_SCANNERS}"
    options = stix2validator.ValidationOptions(version="2.1", strict=True, disabled=disabled)
    found: Any = stix2validator.validate_string(text, options)
    return [str(error) for error in [*found.errors, *found.warnings]]
