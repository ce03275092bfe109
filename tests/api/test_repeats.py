"""A call that is known again is of one account and one key, and means one thing."""

from __future__ import annotations

import itertools

from spectra.api.repeats import id_of


def test_a_key_of_an_account_is_one_id() -> None:
    """Of the form that ids of its kind have; without a key there is none."""
    ids = [id_of(kind, by, key) for kind, by, key in itertools.product(("job", "report"), ("a", "b"), ("k" * 8, "l"))]
    assert len(set(ids)) == 8
    assert id_of("job", "a", "k" * 8) == ids[0]
    assert ids[0].startswith("job-")
    assert len(ids[0]) == len("job-") + 20
    assert id_of("job", "a", "") == ""
