"""Subjects, topics, and who may use which."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectra.fabric import subjects
from spectra.fabric.errors import MeshError
from spectra.fabric.subjects import Permissions, permissions
from spectra.model.nodes import NODE_NAME, Role, Standing

ROLES: tuple[Role, ...] = ("worker", "full")
OUTSIDE: tuple[Standing, ...] = ("invited", "revoked")
BUILDERS = (subjects.presence, subjects.control, subjects.reply, subjects.work, subjects.assign)
names = st.from_regex(NODE_NAME)


def matches(pattern: str, subject: str) -> bool:
    """NATS's rule: `*` is one token, `>` the rest, which is not empty."""
    parts, tokens = pattern.split("."), subject.split(".")
    if parts[-1] == ">":
        return len(tokens) >= len(parts) and all(p in ("*", t) for p, t in zip(parts[:-1], tokens, strict=False))
    return len(parts) == len(tokens) and all(p in ("*", t) for p, t in zip(parts, tokens, strict=True))


@given(names)
def test_each_subject_names_its_node(name: str) -> None:
    """What is built for a name is read back as that name, and no two kinds are one."""
    built = [build(name) for build in BUILDERS]
    assert len(set(built)) == len(BUILDERS)
    assert {subjects.node_of(subject) for subject in built} == {name}
    assert matches(subjects.EVERY_PRESENCE, subjects.presence(name))
    assert matches(subjects.EVERY_REPLY, subjects.reply(name))
    assert [subjects.is_presence(subject) for subject in built] == [True, False, False, False, False]


@given(names)
def test_topics_are_subjects_in_other_words(name: str) -> None:
    """There and back, wildcards too."""
    assert subjects.topic(subjects.presence(name)) == f"spectra/presence/{name}"
    for subject in (subjects.presence(name), subjects.EVERY_PRESENCE, subjects.ALL, "spectra.>"):
        assert subjects.subject_of(subjects.topic(subject)) == subject
    assert subjects.topic("spectra.*.x.>") == "spectra/+/x/#"


@pytest.mark.parametrize("name", ["", "*", ">", "a.b", "a/b", "A", "a b", "-a", "x" * 64, "a\n", "a\x00"])
@pytest.mark.parametrize("build", BUILDERS)
def test_what_is_no_label_makes_no_subject(build: type, name: str) -> None:
    """A wildcard in the place of a name would be a permission for everybody's subjects."""
    with pytest.raises(MeshError, match="no name of a node"):
        build(name)


@pytest.mark.parametrize("subject", ["", "spectra.all", "spectra.presence.*", "a.presence.n", "spectra.presence.n.m"])
def test_a_subject_without_a_node_is_malformed(subject: str) -> None:
    """Whose message it is must be readable from where it came."""
    with pytest.raises(MeshError) as told:
        subjects.node_of(subject)
    assert told.value.reason == "malformed_message"


@given(names, names)
def test_nobody_may_use_another_ones_subjects(mine: str, other: str) -> None:
    """Whatever its role: no permission of one node matches a subject of another, and none is a wildcard."""
    for role in ROLES:
        allowed = permissions(role, mine, "active")
        assert not any(c in pattern for pattern in allowed.publish + allowed.subscribe for c in "*>")
        if mine != other:
            for pattern, build in itertools.product(allowed.publish + allowed.subscribe, BUILDERS):
                assert not matches(pattern, build(other))
        assert subjects.control(mine) not in allowed.publish
        assert subjects.ALL not in allowed.publish
        assert subjects.presence(mine) not in allowed.subscribe


def test_a_quarantined_node_is_heard_and_asked_only() -> None:
    """It may say that it lives and answer; it gets no work, whatever its role."""
    for role in (*ROLES, "coordinator"):
        assert permissions(role, "n", "quarantined") == Permissions(
            publish=("spectra.presence.n", "spectra.reply.n"), subscribe=("spectra.ctl.n",)
        )


@pytest.mark.parametrize("standing", OUTSIDE)
def test_who_is_no_member_may_nothing(standing: Standing) -> None:
    """Invited and revoked nodes have no permission at all."""
    for role in (*ROLES, "coordinator"):
        assert permissions(role, "n", standing) == Permissions()


def test_the_coordinator_may_everything() -> None:
    """Streams and buckets of the account included."""
    assert permissions("coordinator", "c", "active") == Permissions(publish=(">",), subscribe=(">",))


def test_who_speaks_is_told_whatever_the_subject() -> None:
    """The node where there is one; what is none's stands for itself, cut."""
    assert subjects.speaker(subjects.work("w1")) == "w1"
    assert subjects.speaker("spectra.presence.*") == "spectra.presence.*"
    assert subjects.speaker("x" * 500) == "x" * 100
