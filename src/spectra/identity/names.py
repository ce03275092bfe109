"""What machines of a mesh are called: `spiffe://<mesh>/node/<name>`, the URI in a node's certificate (SPIFFE ID).

Mesh and node are DNS labels, so nothing in the URI is ever escaped and each name has one spelling.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

from spectra.identity.errors import IdentityError
from spectra.model.nodes import MESH_NAME, is_node_name

MAX_URI_CHARS: Final = 160
KEY_NAME_CHARS: Final = 40
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"  # base32, RFC 4648 section 6, in lower case
_URI: Final = re.compile(r"spiffe://([a-z0-9-]{1,63})/node/([a-z0-9-]{1,63})")


def node_uri(mesh: str, name: str) -> str:
    """The identity of the node `name` of `mesh`. Raises `IdentityError` where one is no DNS label."""
    if not is_mesh_name(mesh):
        raise IdentityError("a mesh is named by 1 to 63 of a-z, 0-9 and inner hyphens.")
    if not is_node_name(name):
        raise IdentityError("a node is named by 1 to 63 of a-z, 0-9 and inner hyphens.")
    return f"spiffe://{mesh}/node/{name}"


def parse_uri(uri: str) -> tuple[str, str]:
    """The mesh and the name in a node's identity. Raises `IdentityError` for any other spelling."""
    found = _URI.fullmatch(uri) if len(uri) <= MAX_URI_CHARS else None
    if found is None or not is_mesh_name(found[1]) or not is_node_name(found[2]):
        raise IdentityError("this is not the identity of a node (spiffe://MESH/node/NAME).")
    return found[1], found[2]


def key_name(spki: str, mesh: str) -> str:
    """The DNS name in a node's certificate that says which key it is for: by that a broker tells a node's present key
    from an older one of the same name. `spki` is the SHA-256 of the public key in hex.
    """
    if not re.fullmatch("[0-9a-f]{64}", spki) or not is_mesh_name(mesh):
        raise IdentityError("a key is named by its SHA-256 and its mesh.")
    return f"{spki[:KEY_NAME_CHARS]}.keys.{mesh}"  # a DNS label holds 63 characters


def is_mesh_name(text: str) -> bool:
    """Whether this may be a mesh's name."""
    return re.match(MESH_NAME, text) is not None


def new_mesh() -> str:
    """A name for a new mesh, with 50 random bits: two meshes that never heard of each other differ."""
    return f"mesh-{_random(10)}"


def new_name(prefix: str = "node") -> str:
    """A name for a node that has none, with 30 random bits. Raises `IdentityError` for a prefix of other letters."""
    name = f"{prefix}-{_random(6)}"
    if not is_node_name(name):
        raise IdentityError("a node's name may hold a-z, 0-9 and inner hyphens only, and up to 63 of them.")
    return name


def _random(length: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(length))
