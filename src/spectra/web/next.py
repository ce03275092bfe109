"""Where to go on after signing in: the page that was asked for, if it is one of this dashboard.

What stands in `?next=` was written by whoever made the link. A browser strips tabs and line breaks from addresses,
takes a backslash for a slash, and goes to another host where two slashes come first (WHATWG URL, 4.4); so only what
can be read in one way is followed, and everything else leads to the overview.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, urlencode

HOME: Final = "/"
LOGIN: Final = "/login"
_MOST: Final = 2000
_PLAIN: Final = "!$&'()*+,;=:@~"

# A slash, then segments of what RFC 3986 lets a path hold, none of them empty, `.` or `..`; a query may hold the same.
_PATH: Final = re.compile(
    r"/(?:(?!\.{1,2}(?:/|\?|$))[A-Za-z0-9._~!$&'()*+,;=:@%-]+(?:/|(?=\?|$)))*(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?"
)
_ENCODED: Final = re.compile(r"%(?![0-9A-Fa-f]{2})|%(?:2[ef]|5c|[01][0-9a-f]|7f)", re.IGNORECASE)
# Pages that end something, or begin it again, are no place to come back to.
_NEVER: Final = ("/login", "/logout", "/setup", "/static/", "/v0/", "/v1/", "/mcp", "/live", "/health/", "/metrics")


def own_path(text: str, otherwise: str = HOME) -> str:
    """`text` if it is a path of ours, with or without a query; else `otherwise`."""
    if len(text) > _MOST or not _PATH.fullmatch(text):
        return otherwise
    path = text.partition("?")[0]
    if _ENCODED.search(path) or path.startswith(_NEVER):
        return otherwise
    return text


def login_path(asked: str, query: str = "") -> str:
    """The path of the sign-in page that leads back to `asked` (a path, not quoted) afterwards."""
    wanted = quote(asked, safe=f"/{_PLAIN}") + (f"?{quote(query, safe=f'/?%{_PLAIN}')}" if query else "")
    if own_path(wanted) == HOME:
        return LOGIN
    return f"{LOGIN}?{urlencode({'next': wanted})}"
