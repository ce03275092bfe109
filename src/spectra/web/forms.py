"""What a form of a page sent: read whole, bounded, and only as `application/x-www-form-urlencoded`."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final
from urllib.parse import parse_qsl

from fastapi import Request

from spectra.api import bodies
from spectra.errors import BadRequest

MAX_BYTES: Final = 1024 * 1024
MAX_FIELDS: Final = 5000
CSRF: Final = "csrf"
ONCE: Final = "once"
"""The field that tells a form which was sent twice from one that was filled in twice."""


class Form:
    """The fields of a form, in the order they came. Text loses the white space around it."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs

    def one(self, name: str, default: str = "") -> str:
        """The first value of a field, or `default` where it is not there or empty."""
        return next((value.strip() for key, value in self._pairs if key == name and value.strip()), default)

    def exact(self, name: str) -> str:
        """The first value as it was typed: a password may begin with a space."""
        return next((value for key, value in self._pairs if key == name), "")

    def all(self, name: str) -> list[str]:
        """Every value of a field that is not empty."""
        return [value.strip() for key, value in self._pairs if key == name and value.strip()]

    def has(self, name: str) -> bool:
        """Whether the field is there: a box that is ticked, the button that was pressed."""
        return any(key == name for key, _ in self._pairs)

    def number(self, name: str, default: int | None = None) -> int | None:
        """A whole number; raises `BadRequest` naming the field where it is something else."""
        text = self.one(name)
        if not text:
            return default
        try:
            return int(text)
        except ValueError as error:
            raise BadRequest(f"{name} has to be a whole number.", field=name) from error

    @property
    def key(self) -> str:
        """The same for whatever came of the same page with the same fields: a double click, a reload. A page that
        somebody goes back to and fills in otherwise has another. Empty where its form has no `once` field.
        """
        if not self.one(ONCE):
            return ""
        told = sorted((key, value) for key, value in self._pairs if key != CSRF)
        return hashlib.sha256(repr(told).encode("utf-8", "surrogatepass")).hexdigest()

    def names(self) -> list[str]:
        """The names of the fields that came, each once."""
        return list(dict.fromkeys(key for key, _ in self._pairs))


def fresh() -> str:
    """What stands in the `once` field of a form that is shown."""
    return secrets.token_urlsafe(12)


async def read(request: Request) -> Form:
    """The form in the body of a request; raises `BadRequest` for anything else."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    raw = await bodies.read(request, MAX_BYTES)
    if media_type != "application/x-www-form-urlencoded":
        raise BadRequest("This takes the form of its page.", field="content-type", hint="Go back and try again.")
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise BadRequest("This form cannot be read.", hint="Go back and try again.") from error
    if any("\0" in key or "\0" in value for key, value in pairs):
        raise BadRequest("A field has a NUL character.", field="form")
    return Form(pairs)
