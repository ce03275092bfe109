"""Operating systems that contradict each other."""

from __future__ import annotations

import pytest

from spectra.intel.correlate.rules import name_of
from spectra.intel.correlate.systems import context_of, contradicts, kernel
from spectra.intel.enrich.cpename import Cpe
from spectra.model.findings import Distribution, Software
from spectra.model.observation import Service
from tests.support.cpes import app, hardware, system

LINUX = system("linux:linux_kernel")


def cpe(name: str) -> Cpe:
    """A name taken apart."""
    parsed = name_of(name)
    assert parsed
    return parsed


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (LINUX, "linux"),
        (system("canonical:ubuntu_linux:22.04"), "linux"),
        (system("redhat:enterprise_linux_server:7.0"), "linux"),
        (system("microsoft:windows_server_2019"), "windows"),
        (system("apple:mac_os_x"), "macos"),
        (system("cisco:ios"), "ios"),
        (app("microsoft:windows_media_player"), ""),
    ],
)
def test_names_are_of_a_kind(name: str, kind: str) -> None:
    """Distributions are Linux; an application is no system."""
    assert kernel(cpe(name)) == kind


def test_what_was_seen_rules_others_out() -> None:
    """One host runs one system; firmware says nothing of what is asked."""
    linux = Software(context=(LINUX,))
    assert contradicts(linux, cpe(system("microsoft:windows")))
    assert not contradicts(linux, cpe(system("debian:debian_linux:12")))
    assert not contradicts(Software(), cpe(system("microsoft:windows")))
    assert not contradicts(linux, cpe(system("cisco:ios")))
    assert not contradicts(linux, cpe(hardware("hp:printer")))


def test_a_distribution_rules_other_distributions_out() -> None:
    """And what is built from another's sources is affected as that is."""
    centos = Software(distribution=Distribution("centos", "7"))
    assert not contradicts(centos, cpe(system("redhat:enterprise_linux:7.0")))
    assert contradicts(centos, cpe(system("debian:debian_linux:10.0")))
    assert contradicts(centos, cpe(system("microsoft:windows")))
    assert not contradicts(centos, cpe(LINUX))


def test_the_context_is_what_the_scanner_said() -> None:
    """Names of systems and devices among its CPE names, and its word for the system."""
    service = Service(os="Linux", cpe=("cpe:/a:openbsd:openssh:9.2", "cpe:/o:linux:linux_kernel", "cpe:/h:hp:printer"))
    assert context_of(service) == (hardware("hp:printer"), LINUX)
    assert context_of(Service(os="Windows XP")) == (system("microsoft:windows"),)
    assert context_of(Service()) == ()
