"""`presets`: those that come with Spectra, those of a user, and what is told of a file that does not hold."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from spectra.collect.ports import parse_ports
from spectra.collect.presets import BadPreset, load, places, read
from spectra.collect.presets.reading import MAX_FILE
from spectra.model.presets import NmapOptions, Preset

BUILT_IN = ["bbot-subdomains", "bbot-web", "discovery", "full", "services", "sweep", "udp", "web"]


def test_the_built_in_ones() -> None:
    """All of them hold, say what they are for, and travel as part of an order."""
    presets = load()
    assert list(presets) == BUILT_IN
    for name, preset in presets.items():
        assert preset.name == name
        assert preset.description
        assert msgspec.json.decode(msgspec.json.encode(preset), type=Preset) == preset
    assert presets["services"].tools == ("nmap", "connect")
    assert not presets["discovery"].grab
    assert not presets["discovery"].nmap.versions
    assert parse_ports(presets["full"].ports).count() == 65535
    assert presets["bbot-web"].bbot.strict
    assert not presets["bbot-subdomains"].bbot.strict


def test_what_needs_no_raw_sockets_can_be_done_by_every_machine() -> None:
    """The presets that people begin with fall back on the built-in scanner."""
    for name in ("discovery", "web", "services", "full"):
        assert load()[name].tools[-1] == "connect"


def test_a_users_preset_is_added_and_may_replace_one(tmp_path: Path) -> None:
    """Later folders over earlier ones and over the built-in ones; what is no preset file is not looked at."""
    first, second = tmp_path / "presets", tmp_path / "more"
    first.mkdir()
    second.mkdir()
    (first / "mail.yaml").write_text("description: Mail\ntools: [connect]\nports: 25,143\n")
    (first / "web.yml").write_text("name: web\ndescription: Ours\ntools: [nmap]\nnmap: {scripts: [http-title]}\n")
    (first / "notes.txt").write_text("not a preset")
    (second / "mail.yaml").write_text("description: Mail too\ntools: [connect]\nprivacy: meta-only\n")
    presets = load(places(tmp_path, second))
    assert presets["mail"].description == "Mail too"
    assert presets["mail"].privacy == "meta-only"
    assert presets["web"].nmap == NmapOptions(scripts=("http-title",))
    assert len(presets) == len(BUILT_IN) + 1


def test_where_presets_are(tmp_path: Path) -> None:
    """`presets/` of the configuration where there is one; a folder that was named has to be there."""
    assert places(tmp_path) == ()
    assert places(tmp_path, tmp_path / "named") == (tmp_path / "named",)
    with pytest.raises(BadPreset, match=r"cannot read the presets in .*named"):
        load(places(tmp_path, tmp_path / "named"))
    (tmp_path / "presets").mkdir()
    assert places(tmp_path) == (tmp_path / "presets",)
    (tmp_path / "presets" / "Not A Name.yaml").write_text("{}")
    with pytest.raises(BadPreset, match="small letters"):
        load(places(tmp_path))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ":1: the file is empty"),
        ("- a\n- b\n", ":1: a preset is a mapping"),
        ("description: x\ntools: [connect]\nspeed: 3\n", ":1: Object contains unknown field `speed`"),
        ("description: x\ntools: [connect]\nnmap:\n  timing: 4\n  intensity: 12\n", ":5: Expected `int` <= 9"),
        ("description: x\ntools:\n  - connect\n  - nmpa\n", ":4: Invalid enum value 'nmpa'"),
        ("description: x\ntools: [connect, connect]\n", ":2: a tool stands here twice"),
        ("description: x\ntools: [connect]\nports: 80,99999\n", ":3: ports, column 4: '99999' is not within"),
        ("description: x\ntools: [connect]\nports: 80\n", ":3: Expected `str`, got `int`"),
        ("description: x\ntools: [bbot]\n", ":2: BBOT has to be told"),
        ("description: x\ntools: [nmap]\nnmap:\n  scripts: [ssl-cert,\n    dos]\n", ":5: scripts `dos` are not run"),
        ("description: x\ntools: [nmap]\nnmap: {scripts: ['--script-args']}\n", ":3: Expected `str` matching"),
        ("description: x\ntools: [bbot]\nbbot: {modules: ['../../x']}\n", ":3: Expected `str` matching"),
        ("description: x\ndescription: y\ntools: [connect]\n", ":2: `description` stands here twice"),
        ("description: &a x\ntools: [connect]\nports: *a\n", ":3: neither aliases"),
        ("description: !!python/object:os.system x\ntools: [connect]\n", ":1: 'x' cannot be read as"),
        ("description: x\ntools: [connect\nports: 80\n", ":3: "),
        ("description: x\n? [a]\n: b\n", ":2: a key is a word"),
        ("description: x\nname: other\ntools: [connect]\n", ":2: a preset is named as its file is"),
        ('description: "a\\nb"\ntools: [connect]\n', ":1: Expected `str` matching"),
        ("[" * 60_000, ":1: neither aliases nor such depths"),
        ("description: x\n---\ntools: [connect]\n", ":2: "),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(tmp_path: Path, text: str, told: str) -> None:
    """The file, the line, and the value that does not hold."""
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(BadPreset) as caught:
        read(path)
    assert str(caught.value).startswith(str(path)) or "mine.yaml" in str(caught.value)
    assert told in str(caught.value)


def test_a_file_is_bounded_and_has_to_be_text(tmp_path: Path) -> None:
    """Neither a flood nor bytes that are no UTF-8, nor a file that is not there."""
    path = tmp_path / "mine.yaml"
    path.write_text("#" * (MAX_FILE + 1))
    with pytest.raises(BadPreset, match="larger than"):
        read(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(BadPreset, match="cannot read"):
        read(path)
    with pytest.raises(BadPreset, match="cannot read"):
        read(tmp_path / "absent.yaml")
