"""Settings: where they come from, which wins, and what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from spectra import settings
from spectra.settings import Settings


@pytest.fixture
def config(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's configuration file, not written yet, and no variables of ours but the data folder."""
    for name in [n for n in os.environ if n.startswith("SPECTRA_") and n != "SPECTRA_DATA_DIR"]:
        monkeypatch.delenv(name)
    path = settings.config_dir() / "config.yaml"
    path.parent.mkdir(parents=True)
    return path


@pytest.mark.usefixtures("config")
def test_defaults_are_safe() -> None:
    """Loopback, the embedded database, bounds on everything a stranger can send."""
    found = settings.load()
    assert (found.api.host, found.api.port) == ("127.0.0.1", 8765)
    assert found.database.url is None
    assert found.gate.max_envelope_bytes == 96 * settings.MIB
    assert found.gate.max_age_s == 24 * 3600
    assert found.scan.allow == []


def test_the_file_of_the_user(config: Path) -> None:
    """YAML, by sections; what it does not say keeps its default, also within a section."""
    config.write_text("api:\n  port: 9000\nscan:\n  do_not_scan: [10.0.0.0/8]\n")
    found = settings.load()
    assert (found.api.port, found.api.host) == (9000, "127.0.0.1")
    assert found.scan.do_not_scan == ["10.0.0.0/8"]


def test_the_environment_wins_over_the_file(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One key of a section, without losing the file's others."""
    config.write_text("api:\n  port: 9000\n  host: '::1'\n")
    monkeypatch.setenv("SPECTRA_API__PORT", "9001")
    found = settings.load()
    assert (found.api.port, found.api.host) == (9001, "::1")


def test_lists_are_json_in_the_environment(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the handbook says; and so is a whole section, which wins over the file key by key."""
    config.write_text("database: {url: 'postgresql://prod/db', pool_size: 20}\n")
    monkeypatch.setenv("SPECTRA_SCAN__ALLOW", '["127.0.0.0/8", "10.0.0.0/8"]')
    monkeypatch.setenv("SPECTRA_DATABASE", '{"url": null}')
    found = settings.load()
    assert found.scan.allow == ["127.0.0.0/8", "10.0.0.0/8"]
    assert (found.database.url, found.database.pool_size) == (None, 20)


def test_what_is_passed_wins_over_all(config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As `--data-dir` does."""
    config.write_text("data_dir: /nowhere\n")
    monkeypatch.setenv("SPECTRA_DATA_DIR", "/nowhere/else")
    assert Settings(data_dir=tmp_path).data_dir == tmp_path


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("api: {prot: 1}", ("api", "prot")),
        ("colour: red", ("colour",)),
        ("api: {port: 65536}", ("api", "port")),
        ("api: {port: soon}", ("api", "port")),
        ("api: {body_timeout_s: 0}", ("api", "body_timeout_s")),
        ("log: {level: loud}", ("log", "level")),
        ("gate: {max_age_s: 0}", ("gate", "max_age_s")),
        ("database: {pool_size: 1}", ("database", "pool_size")),
        ("feeds: {allow: [everything]}", ("feeds", "allow")),
    ],
)
def test_a_wrong_key_is_named(config: Path, text: str, place: tuple[str, ...]) -> None:
    """A misspelt or impossible setting stops the start instead of being passed over."""
    config.write_text(text + "\n")
    with pytest.raises(ValidationError) as refused:
        settings.load()
    assert refused.value.errors()[0]["loc"] == place


def test_settings_do_not_change(config: Path) -> None:
    """They are read once, and frozen."""
    found = settings.load()
    with pytest.raises(ValidationError):
        found.api.port = 1  # type: ignore[misc]


@pytest.mark.usefixtures("config")
def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database's password stands in no repr and no dump."""
    monkeypatch.setenv("SPECTRA_DATABASE__URL", "postgresql://u:hunter2@db/spectra")
    monkeypatch.setenv("SPECTRA_BLOBS__SECRET_ACCESS_KEY", "hunter3")
    found = settings.load()
    assert found.database.url is not None
    assert found.database.url.get_secret_value().endswith("@db/spectra")
    for shown in (repr(found), str(found.model_dump()), found.model_dump_json()):
        assert "hunter" not in shown


def test_every_setting_says_what_it_does() -> None:
    """The table in the handbook is made of these words."""
    wordless = [".".join(path) for path, field in every_setting(Settings) if not field.description]
    assert not wordless


def every_setting(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """The fields that are no sections, however deep, each with its path."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from every_setting(field.annotation, (*above, name))
        else:
            yield (*above, name), field


def test_the_folders_follow_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`$XDG_CONFIG_HOME`, else `~/.config`."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert settings.config_dir() == tmp_path / "spectra"
    monkeypatch.setenv("XDG_CONFIG_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert settings.config_dir() == tmp_path / ".config" / "spectra"


def test_data_lives_with_the_system_for_root_alone() -> None:
    """`/var/lib/spectra` for root, whose home PostgreSQL's account cannot enter; else below the user's home."""
    expected = Path("/var/lib/spectra") if os.geteuid() == 0 else Path.home() / ".local/share/spectra"
    if "XDG_DATA_HOME" not in os.environ:
        assert settings.default_data_dir() == expected


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_data_lives_at_home_for_users() -> None:
    """As seen by a process of another user."""
    code = "import os; os.setuid(65534); from spectra import settings; print(settings.default_data_dir())"
    environment = {"HOME": "/home/somebody", "PATH": os.environ["PATH"]}
    call = [sys.executable, "-c", "import spectra.settings\n" + code]
    for extra, expected in (
        ({}, "/home/somebody/.local/share/spectra"),
        ({"XDG_DATA_HOME": "/data"}, "/data/spectra"),
    ):
        done = subprocess.run(call, env=environment | extra, capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.strip() == expected


@pytest.mark.usefixtures("config")
def test_lifetimes_are_set_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """`SPECTRA_FRESHNESS__SERVICES` is a JSON object of seconds; what is no lifetime is refused when a node starts."""
    assert settings.load().freshness.services == {}
    monkeypatch.setenv("SPECTRA_FRESHNESS__SERVICES", '{"http": 21600, "ssh": 60}')
    monkeypatch.setenv("SPECTRA_FRESHNESS__DEFAULT_S", "3600")
    assert settings.load().freshness.services == {"http": 21600, "ssh": 60}
    assert settings.load().freshness.default_s == 3600
    monkeypatch.setenv("SPECTRA_FRESHNESS__SERVICES", '{"http": 0}')
    with pytest.raises(ValidationError, match="freshness"):
        settings.load()


@pytest.mark.usefixtures("config")
def test_the_rate_of_submissions_has_one_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """`limits.ingest_per_minute` where it is set, 0 included; else `gate.rate_per_minute`, as before."""
    assert settings.load().ingest_per_minute == 60
    monkeypatch.setenv("SPECTRA_GATE__RATE_PER_MINUTE", "7")
    assert settings.load().ingest_per_minute == 7
    monkeypatch.setenv("SPECTRA_LIMITS__INGEST_PER_MINUTE", "0")
    assert settings.load().ingest_per_minute == 0


@pytest.mark.usefixtures("config")
def test_proxies_are_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """None is trusted unless it is said, and what is no network is refused when a node starts."""
    assert settings.load().api.trusted_proxies == []
    monkeypatch.setenv("SPECTRA_API__TRUSTED_PROXIES", '["10.0.0.1", "2001:db8::/32"]')
    assert settings.load().api.trusted_proxies == ["10.0.0.1/32", "2001:db8::/32"]
    monkeypatch.setenv("SPECTRA_API__TRUSTED_PROXIES", '["10.0.0.1/8"]')
    with pytest.raises(ValidationError, match="trusted_proxies"):
        settings.load()


@pytest.mark.usefixtures("config")
def test_a_service_for_vectors_is_named_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """By none as it comes, so that nothing is sent; a URL goes with a model and is one of http; a key is not shown."""
    assert settings.load().embeddings.url == ""
    monkeypatch.setenv("SPECTRA_EMBEDDINGS__URL", "http://127.0.0.1:11434")
    with pytest.raises(ValidationError, match=r"embeddings\.model"):
        settings.load()
    monkeypatch.setenv("SPECTRA_EMBEDDINGS__MODEL", "nomic-embed-text")
    monkeypatch.setenv("SPECTRA_EMBEDDINGS__API_KEY", "secret")
    assert settings.load().embeddings.model == "nomic-embed-text"
    assert "secret" not in repr(settings.load().embeddings)
    for wrong in ("ftp://127.0.0.1", "http://", "127.0.0.1:11434"):
        monkeypatch.setenv("SPECTRA_EMBEDDINGS__URL", wrong)
        with pytest.raises(ValidationError, match="url"):
            settings.load()


def test_a_node_on_any_free_port_has_its_mesh_there_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that several run on one machine; a port that was chosen is kept, and so are the well-known ones otherwise."""
    for name in [n for n in os.environ if n.startswith("SPECTRA_")]:
        monkeypatch.delenv(name)
    assert Settings().mesh_ports == (8766, 4222, 8883)
    monkeypatch.setenv("SPECTRA_API__PORT", "0")
    assert Settings().mesh_ports == (0, 0, 0)
    monkeypatch.setenv("SPECTRA_MESH__NATS_PORT", "4222")
    assert Settings().mesh_ports == (0, 4222, 0)
    given = Settings().model_copy(update={"api": settings.ApiSettings(port=9000)})
    assert given.mesh_ports == (8766, 4222, 8883)
