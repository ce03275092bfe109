"""Names of machines: one spelling each, and what is not one is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.identity.errors import IdentityError
from spectra.identity.names import is_mesh_name, key_name, new_mesh, new_name, node_uri, parse_uri
from spectra.model.nodes import is_node_name

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True)


def test_the_identity_of_a_node_is_a_spiffe_id() -> None:
    """Its form is fixed: certificates, NATS users and step's `--san` all spell it."""
    assert node_uri("mesh-a2b3c4d5e6", "scanner-1") == "spiffe://mesh-a2b3c4d5e6/node/scanner-1"


@given(LABEL, LABEL)
def test_what_is_written_is_read(mesh: str, name: str) -> None:
    """Both ways, for every pair of labels."""
    assert parse_uri(node_uri(mesh, name)) == (mesh, name)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "spiffe://mesh/node/",
        "spiffe:///node/a",
        "spiffe://mesh/nodes/a",
        "spiffe://mesh/node/a/b",
        "spiffe://mesh/node/a\n",
        "spiffe://mesh/node/A",
        "SPIFFE://mesh/node/a",
        "spiffe://mesh:1/node/a",
        "spiffe://user@mesh/node/a",
        "spiffe://mesh/node/a?x",
        "spiffe://mesh/node/a#x",
        "spiffe://mesh/node/%61",
        "spiffe://mesh/node/-a",
        "spiffe://mesh-/node/a",
        "spiffe://mesh/node/ä",
        "spiffe://mesh/node/" + "a" * 64,
        "https://mesh/node/a",
        "spiffe://mesh/node/a" + "a" * 200,
    ],
)
def test_other_spellings_are_none(uri: str) -> None:
    """One identity has one spelling, so that comparing text compares identities."""
    with pytest.raises(IdentityError):
        parse_uri(uri)


@given(st.text(max_size=200) | st.from_regex(r"spiffe://.{0,80}/node/.{0,80}"))
def test_any_text_is_answered(text: str) -> None:
    """It is an identity, spelled as we would, or refused."""
    try:
        mesh, name = parse_uri(text)
    except IdentityError:
        return
    assert node_uri(mesh, name) == text


@pytest.mark.parametrize(("mesh", "name"), [("", "a"), ("mesh", ""), ("Mesh", "a"), ("mesh", "a.b"), ("a/b", "c")])
def test_no_identity_of_other_names(mesh: str, name: str) -> None:
    """What would need quoting never gets into a certificate."""
    with pytest.raises(IdentityError):
        node_uri(mesh, name)


def test_new_names_are_names_and_differ() -> None:
    """Random ones of the promised form."""
    meshes, names = {new_mesh() for _ in range(50)}, {new_name() for _ in range(50)}
    assert len(meshes) == 50
    assert len(names) == 50
    assert all(re.fullmatch(r"mesh-[a-z2-7]{10}", mesh) and is_mesh_name(mesh) for mesh in meshes)
    assert all(re.fullmatch(r"node-[a-z2-7]{6}", name) and is_node_name(name) for name in names)
    assert new_name("coordinator").startswith("coordinator-")


@pytest.mark.parametrize("prefix", ["", "A", "a b", "a" * 60])
def test_a_prefix_that_makes_no_name(prefix: str) -> None:
    """It is refused rather than trimmed."""
    with pytest.raises(IdentityError):
        new_name(prefix)


def test_a_key_is_named_by_its_hash_and_its_mesh() -> None:
    """A DNS name, whatever the mesh is called; what is no hash names nothing."""
    name = key_name("ab" * 32, "m" * 63)
    assert name == f"{'ab' * 20}.keys.{'m' * 63}"
    assert all(len(label) <= 63 for label in name.split("."))
    for spki, mesh in (("", "m"), ("AB" * 32, "m"), ("ab" * 32, "A.b"), ("ab" * 33, "m")):
        with pytest.raises(IdentityError):
            key_name(spki, mesh)
