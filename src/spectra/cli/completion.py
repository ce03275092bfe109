"""What the shell offers after TAB: inside of a query fields, and the values of those that have few; presets and jobs.

Fields come from their table and presets from their files, without asking a server; it is asked for jobs alone, once
and not for long. Shells see words differently: zsh and fish complete `protocol:ud` as a whole, while to bash it is the
three words `protocol`, `:` and `ud`, of which it completes the last.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spectra.model.fields import Field

Offer = tuple[str, str]
"""What is offered, and a word of help on it."""
JOBS_WAIT_S = 2.0
"""Longest that somebody who pressed TAB waits for a server."""
JOBS_OFFERED = 100


class _Offered(str):
    """Offered although it does not begin with what bash calls the word: that is the colon alone."""

    __slots__ = ()

    def startswith(self, prefix: Any, *_: Any) -> bool:
        """Typer asks this of each offer, and drops those that do not."""
        return prefix == ":" or super().startswith(prefix)


def terms(ctx: Any, incomplete: str) -> list[Offer]:
    """Fields and values that may follow, for a command whose argument `query` is in the query language."""
    before = [str(word) for word in ctx.params.get("query") or ()]
    if incomplete == ":" and before:
        return [(_Offered(value), text) for value, text in _values(before[-1], "")]
    if before[-1:] == [":"] and len(before) > 1:
        return list(_values(before[-2], incomplete))
    name, colon, value = incomplete.partition(":")
    if colon:
        return [(f"{name}:{rest}", text) for rest, text in _values(name, value)]
    return list(_names(incomplete))


def names(incomplete: str) -> list[Offer]:
    """The names of fields alone, where they stand without a colon."""
    from spectra.model.fields import FIELDS

    return [(f.name, f.description) for f in FIELDS.values() if f.name.startswith(incomplete.lower())]


def _names(incomplete: str) -> Iterator[Offer]:
    """`country:` and so on; after the only one left what may follow it, so that no shell adds a blank."""
    from spectra.model.fields import NAMES

    found = [name for name in NAMES if name.startswith(incomplete.lower())]
    own = [name for name in found if NAMES[name].name == name]
    for name in own or found:
        yield f"{name}:", NAMES[name].description
    if len(own or found) == 1:
        name = (own or found)[0]
        for value, text in _values(name, "") or [(_example(NAMES[name]), "for example")]:
            yield f"{name}:{value}", text


def _values(name: str, incomplete: str) -> list[Offer]:
    """The values of a field that begin as the last of the list `incomplete` does, after those before it."""
    from spectra.model.fields import NAMES, PROVIDERS

    field = NAMES.get(name.strip("\0-").lower())
    if field is None:
        return []
    listed, comma, last = incomplete.rpartition(",")
    known = PROVIDERS if field.kind == "cloud" else field.choices
    rest = [choice for choice in known if choice not in listed.split(",")]
    return [(listed + comma + choice, field.name) for choice in rest if choice.startswith(last.lower())]


def _example(field: Field) -> str:
    """The first value of the field's example, as far as it needs no quotes."""
    found = re.search(r"[\w./-]+", field.example.partition(":")[2])
    return found[0] if found else ""


def presets(incomplete: str) -> list[Offer]:
    """Ways of scanning: those that come with Spectra, and those of this machine's folders."""
    from spectra.cli.local import Machine
    from spectra.collect.presets import load, places
    from spectra.errors import SpectraError
    from spectra.settings import config_dir

    try:
        found = load(places(config_dir(), Machine().settings.work.presets))
    except SpectraError:  # a file of the user that is wrong is told of when it is used
        found = load()
    return [(name, one.description) for name, one in sorted(found.items()) if name.startswith(incomplete)]


def jobs(ctx: Any, incomplete: str) -> list[Offer]:
    """The newest jobs; none where the server does not say at once."""
    from spectra.cli.local import Machine
    from spectra.errors import SpectraError
    from spectra.model.workpages import JobPage

    root = ctx.find_root().params
    try:
        with Machine(server=root.get("server") or "", data_dir=root.get("data_dir")).client(attempts=1) as client:
            found = client.get("/v0/jobs", JobPage, {"limit": JOBS_OFFERED}, wait_s=JOBS_WAIT_S).jobs
    except SpectraError:
        return []
    return [(one.job, f"{one.state}: {one.what}") for one in found if one.job.startswith(incomplete)]
