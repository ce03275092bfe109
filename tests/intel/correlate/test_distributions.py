"""Whose build a service is."""

from __future__ import annotations

import pytest

from spectra.intel.correlate.distributions import distribution, split
from spectra.model.findings import Distribution


@pytest.mark.parametrize(
    ("said", "name", "release"),
    [
        (("9.2p1 Debian 2+deb12u3", "protocol 2.0"), "debian", "12"),
        (("7.88.1-11+deb12u10",), "debian", "12"),
        (("9.18.1-1ubuntu1.2",), "ubuntu", ""),
        (("8.0.32-0ubuntu0.22.04.2",), "ubuntu", "22.04"),
        (("2.4.6", "(CentOS) OpenSSL/1.0.2k-fips"), "centos", ""),
        (("2.4.37-43.el8_5.0",), "rhel", "8.5"),
        (("2.4.37", "(Red Hat Enterprise Linux)"), "rhel", ""),
        (("1.20.1-22 RHEL 9.2",), "rhel", "9.2"),
        (("2.4.58-1.fc39",), "fedora", "39"),
        (("2.4.58-1.amzn2023",), "amazon", ""),
        (("1.24.0-r15",), "alpine", ""),
        (("5.7-2 Ubuntu Focal",), "ubuntu", "20.04"),
        (("1.24.0", "debian_trixie"), "debian", "13"),
        (("8.4p1", "Raspbian 5+b1"), "raspbian", ""),
    ],
    ids=str,
)
def test_distributions_are_told_by_words_and_revisions(said: tuple[str, ...], name: str, release: str) -> None:
    """From the version, or from what stands around it."""
    found = distribution(*said)
    assert found
    assert (found.name, found.release) == (name, release)


@pytest.mark.parametrize("said", ["2.4.58", "1.18.0", "9.2p1", "8.6.5-00", "", "OpenSSL 3.0.2"])
def test_upstream_versions_are_nobodys_build(said: str) -> None:
    """A version alone says nothing of who built it."""
    assert distribution(said) is None


def test_a_revision_is_kept() -> None:
    """It is what an advisory of the distribution speaks of."""
    assert distribution("7.88.1-11+deb12u10") == Distribution("debian", "12", "7.88.1-11+deb12u10", "11+deb12u10")


@pytest.mark.parametrize(
    ("version", "upstream", "revision"),
    [
        ("9.18.1-1ubuntu1.2", "9.18.1", "1ubuntu1.2"),
        ("1:9.2p1-2+deb12u3", "9.2p1", "2+deb12u3"),
        ("2.4.37-43.el8_5.0", "2.4.37", "43.el8_5.0"),
        ("1.24.0-r15", "1.24.0", "r15"),
        ("9.2p1", "9.2p1", ""),
        ("", "", ""),
    ],
)
def test_upstream_and_revision_come_apart(version: str, upstream: str, revision: str) -> None:
    """An epoch is the package's too."""
    assert split(version) == (upstream, revision)
