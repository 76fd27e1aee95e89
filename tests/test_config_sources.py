"""Where settings come from: the environment, what can't stand together, and what is said of each source."""

from __future__ import annotations

from pathlib import Path

import pytest

from opendmux.config import Config, Limits, Timeouts
from opendmux.config.schema import LIVE, Entry, entries, expected
from opendmux.config.sources import PATHS, PATHS_IN_TABLES, Given, Settings, Source, settings_of, variable_of
from opendmux.errors import ConfigError

TABLES = """
[[upstreams]]
name = "a"
address = "sim"
[[listeners]]
listen = [":1"]
upstream = ["a"]
"""


def of(path: Path | None = None, /, **environ: str) -> Settings:
    return settings_of(path, {f"OPENDMUX_{name}": value for name, value in environ.items()})


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "opendmux.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text", "config"),
    [
        ("UPSTREAM", "192.0.2.7:1", Config(upstream="192.0.2.7:1")),
        ("LISTEN", ":1, [::1]:1,", Config(listen=(":1", "[::1]:1"))),
        ("LISTEN", "", Config()),
        ("KEYS", "", Config()),
        ("SIM_SEED", "7", Config(sim_seed=7)),
        ("BUDGETS", "No", Config(budgets=False)),
        ("BUDGETS", "0", Config(budgets=False)),
        ("ALLOW_UNKNOWN", "true", Config(allow_unknown=True)),
        ("ON_OUTAGE", "close", Config(on_outage="close")),
        ("LIMITS__IN_FLIGHT", "64", Config(limits=Limits(in_flight=64))),
        ("TIMEOUTS__REPLY_S", "10.5", Config(timeouts=Timeouts(reply_s=10.5))),
    ],
)
def test_a_variable_is_a_setting(name: str, text: str, config: Config) -> None:
    assert of(**{name: text}).config == config


def test_a_variable_wins_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "sim_seed = 2\n[limits]\nin_flight = 8\nextra_lanes = 2")
    settings = of(path, LIMITS__IN_FLIGHT="9")
    assert settings.config == Config(sim_seed=2, limits=Limits(in_flight=9, extra_lanes=2))
    assert settings.source("limits.in_flight") == Source("environment", "OPENDMUX_LIMITS__IN_FLIGHT")
    assert settings.source("limits.extra_lanes") == Source("file", str(path))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "UPSTRAEM",
            "sim",
            "the environment has an unknown setting OPENDMUX_UPSTRAEM; did you mean 'OPENDMUX_UPSTREAM'?",
        ),
        ("LIMITS_IN_FLIGHT", "1", "did you mean 'OPENDMUX_LIMITS__IN_FLIGHT'?"),
        ("LIMITS__IN_FLIGHT", "many", "OPENDMUX_LIMITS__IN_FLIGHT must be a whole number, not 'many'"),
        ("LIMITS__IN_FLIGHT", "", "OPENDMUX_LIMITS__IN_FLIGHT must be a whole number, not ''"),
        ("LIMITS__IN_FLIGHT", "0", "OPENDMUX_LIMITS__IN_FLIGHT = 0: must be greater than 0"),
        ("TIMEOUTS__REPLY_S", "soon", "OPENDMUX_TIMEOUTS__REPLY_S must be a number, not 'soon'"),
        ("TIMEOUTS__REPLY_S", "nan", "OPENDMUX_TIMEOUTS__REPLY_S = nan: must be greater than 0"),
        ("BUDGETS", "maybe", "OPENDMUX_BUDGETS must be true or false, not 'maybe'"),
        ("UNLOCK", "shred", "OPENDMUX_UNLOCK must be one of shared, own, not 'shred'; did you mean 'shared'?"),
        ("UPSTREAMS", "a", "OPENDMUX_UPSTREAMS: [[upstreams]] can be given in a file only (--config)"),
        ("LISTENERS__KEY", "a", "OPENDMUX_LISTENERS__KEY: [[listeners]] can be given in a file only (--config)"),
        ("LISTEN", "nowhere", "OPENDMUX_LISTEN 'nowhere' is not HOST:PORT"),
        ("LOG_LINES_PER_S", "-1", "OPENDMUX_LOG_LINES_PER_S = -1: must be 0 or more"),
    ],
)
def test_a_bad_variable_is_named(name: str, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        of(**{name: text})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "KEY",
        "PURE",
        "SHA1",
        "CONFIG",
        "SERVICE_HOST",
        "SERVICE_PORT",
        "SERVICE_PORT_API",
        "PORT",
        "PORT_33333_TCP_ADDR",
    ],
)
def test_what_is_no_setting_is_passed_over(name: str) -> None:
    assert of(**{name: ""}).config == Config()


def test_other_programs_variables_are_not_looked_at() -> None:
    assert settings_of(None, {"UPSTREAM": "x", "OPENDMUXX": "y", "opendmux_upstream": "z"}).config == Config()


def test_every_setting_but_those_of_tables_has_a_variable_of_its_own() -> None:
    names = [variable_of(entry) for entry in entries() if not entry.repeated]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("key", "table"), [("listen", "listeners"), ("upstream", "upstreams")])
def test_what_was_given_for_this_run_is_never_ignored(tmp_path: Path, key: str, table: str) -> None:
    """The file's tables say more than the option can, so neither can stand for the other."""
    path = written(tmp_path, TABLES)
    value: object = (":2",) if key == "listen" else "sim"
    for source in (Source("flag", f"--{key}"), Source("environment", f"OPENDMUX_{key.upper()}")):
        with pytest.raises(ConfigError) as caught:
            settings_of(path, {}, [Given(source, key, value)])
        assert str(caught.value) == f"{source.name} can't be combined with [[{table}]] of the configuration file"


def test_what_the_file_itself_makes_useless_is_said(tmp_path: Path) -> None:
    path = written(tmp_path, 'listen = [":2"]\nupstream = "sim"\n' + TABLES)
    assert settings_of(path, {}).notes == (
        f"{path}: listen is not used, for there is [[listeners]]",
        f"{path}: upstream is not used, for there is [[upstreams]]",
    )


def test_two_upstreams_that_are_one_opend_are_told_of(tmp_path: Path) -> None:
    entries = '[[upstreams]]\nname = "{}"\naddress = "{}"\n'
    twice = written(tmp_path, entries.format("hk", "127.0.0.1:11111") + entries.format("us", ":11111"))
    (note,) = settings_of(twice, {}).notes
    assert note == (
        f"{twice}: upstreams: 'hk' and 'us' are the same OpenD at 127.0.0.1:11111: give the second one the api_port of "
        "the second OpenD, such as 11112, or take it out"
    )
    for first, second in ((":11111", ":11112"), ("sim", "sim"), ("sim", ":11111")):
        apart = written(tmp_path, entries.format("hk", first) + entries.format("us", second))
        assert settings_of(apart, {}).notes == ()


def test_a_command_that_cannot_be_run_is_told_of(tmp_path: Path) -> None:
    program = tmp_path / "tell"
    entry = '[[alerts]]\nname = "pager"\ncommand = ["{}", "x"]\n'
    by_path = written(tmp_path, entry.format(program))
    for mode in (None, 0o644):
        if mode is not None:
            program.write_text("#!/bin/sh\n")
            program.chmod(mode)
        (note,) = settings_of(by_path, {}).notes
        assert note == (
            f"{by_path}: alerts: pager: {program} can't be run from here: it is not there, or may not be executed; the "
            "alert would tell nobody"
        )
    program.chmod(0o755)
    assert settings_of(by_path, {}).notes == ()
    by_name = written(tmp_path, entry.format("tell"))
    assert settings_of(by_name, {"PATH": str(tmp_path)}).notes == ()


def test_listen_leads_to_the_first_of_the_files_upstreams(tmp_path: Path) -> None:
    path = written(tmp_path, '[[upstreams]]\nname = "a"\naddress = "sim"')
    assert of(path, LISTEN=":2").config.listen == (":2",)


def test_a_sentence_begins_with_the_place(tmp_path: Path) -> None:
    path = written(tmp_path, "sim_seed = 2")
    settings = settings_of(path, {}, [Given(Source("flag", "--seed"), "limits.in_flight", 2)])
    assert [settings.named(key) for key in ("sim_seed", "limits.in_flight", "keys")] == [
        f"{path}: sim_seed",
        "--seed",
        "keys",
    ]


def test_there_is_a_row_for_every_setting() -> None:
    rows = settings_of(None, {}).rows()
    keys = [key for key, _value, _source in rows]
    assert {"listen", "limits.in_flight", "timeouts.drain_s", "upstreams", "listeners"} <= set(keys)
    assert len(set(keys)) == len(keys)
    assert dict(zip(keys, rows, strict=True))["limits.in_flight"] == ("limits.in_flight", 512, Source("default"))


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: str(entry.key))
def test_every_type_has_its_sentence(entry: Entry) -> None:
    assert expected(entry.kind).startswith("must be ")


def test_what_changes_at_run_time_are_settings() -> None:
    assert set(LIVE) <= {entry.key for entry in entries()}


def test_a_path_in_the_home_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A settings file is read by no shell; what a sentence says to do must work for it nonetheless."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    path = tmp_path / "opendmux.toml"
    path.write_text(
        'audit_log = "~/audit.jsonl"\n[tls]\ncert = "~/a.pem"\nkey = "b~/a.pem"\n'
        '[[upstreams]]\nname = "hk"\naddress = "127.0.0.1:5"\nrsa_private_key = "~/r.pem"\n'
        '[[listeners]]\nlisten = ["127.0.0.1:6"]\nupstream = ["hk"]\n'
    )
    config = settings_of(path, {"OPENDMUX_STATE_DIR": "~/state"}).config
    assert (config.audit_log, config.state_dir) == (str(tmp_path / "audit.jsonl"), str(tmp_path / "state"))
    assert (config.tls.cert, config.tls.key) == (str(tmp_path / "a.pem"), "b~/a.pem")
    assert config.upstreams[0].rsa_private_key == str(tmp_path / "r.pem")


def test_the_paths_are_settings() -> None:
    keys = {entry.key for entry in entries()}
    assert keys >= {*PATHS, *(f"{table}.{name}" for table, name in PATHS_IN_TABLES)}


def test_a_mark_in_front_of_a_file_is_none_of_its_words(tmp_path: Path) -> None:
    path = tmp_path / "opendmux.toml"
    path.write_bytes(b'\xef\xbb\xbfupstream = "sim"\r\n')
    assert settings_of(path, {}).config.upstream == "sim"
