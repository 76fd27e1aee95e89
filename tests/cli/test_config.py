"""`opendmux config`: check, show, init; and the page and the file that are made from the structs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest

from opendmux import cli
from opendmux.cli.config import TEMPLATE
from opendmux.config import Config, load
from opendmux.config.schema import LIVE, Entry, entries
from opendmux.config.sources import variable_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OPENDMUX_PURE", raising=False)
    monkeypatch.chdir(tmp_path)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(["config", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


# -- check


def test_check_without_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "check") == (0, "the settings: in order\n", "")


@pytest.mark.parametrize("words", [["check", "a.toml"], ["check", "--config", "a.toml"]])
def test_check_a_file(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    Path("a.toml").write_text('upstream = "sim"')
    assert run(capsys, *words) == (0, "a.toml: in order\n", "")


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("upstraem = 1", [], "a.toml has an unknown key 'upstraem'; did you mean 'upstream'?"),
        ("[limits]\nin_flight = 0", [], "a.toml: limits.in_flight = 0: must be greater than 0"),
        ('keys = "nowhere.json"', [], "nowhere.json"),
        ('rsa_private_key = "nowhere.pem"', [], "nowhere.pem"),
        ('[[upstreams]]\nname = "a"\naddress = "sim"\nrsa_private_key = "none.pem"', [], "none.pem"),
        ('[tls]\ncert = "none.crt"\nkey = "none.key"', [], "none.crt"),
        ('listen = ["0.0.0.0:33333"]', [], "listening on 0.0.0.0:33333 without keys"),
        ("", ["--upstream", "nowhere"], "--upstream 'nowhere' is not HOST:PORT"),
        ("", ["--config", "b.toml"], "two files are given, a.toml and b.toml"),
    ],
)
def test_what_is_not_in_order(capsys: pytest.CaptureFixture[str], text: str, words: list[str], said: str) -> None:
    Path("a.toml").write_text(text)
    code, out, err = run(capsys, "check", "a.toml", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_check_reads_the_environment(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENDMUX_LIMITS__IN_FLIGHT", "none")
    code, _out, err = run(capsys, "check")
    assert (code, err) == (2, "opendmux: OPENDMUX_LIMITS__IN_FLIGHT must be a whole number, not 'none'\n")


def test_remarks_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Path("OpenD.xml").write_text("<futu_opend><api_port>5</api_port><lang>en</lang></futu_opend>")
    code, out, err = run(capsys, "check", "OpenD.xml")
    assert (code, out) == (0, "OpenD.xml: in order\n")
    assert "ignored, for they are OpenD's own affair: lang" in err


# -- show


def test_show_names_every_source(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENDMUX_LIMITS__IN_FLIGHT", "9")
    Path("a.toml").write_text('upstream = "sim"\nsim_seed = 3\n')
    code, out, _err = run(capsys, "show", "a.toml", "--seed", "4")
    assert code == 0
    rows = [re.split(r"  +", line) for line in out.splitlines()]
    assert ["upstream", '"sim"', "file a.toml"] in rows
    assert ["sim_seed", "4", "flag --seed"] in rows
    assert ["limits.in_flight", "9", "environment OPENDMUX_LIMITS__IN_FLIGHT"] in rows
    assert ["coalesce", "true", "default"] in rows
    _code, out, _err = run(capsys, "show", "a.toml", "--changed")
    assert [line.split()[0] for line in out.splitlines()] == ["upstream", "sim_seed", "limits.in_flight"]


def test_a_long_value_does_not_push_the_other_sources_away(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.toml").write_text(f'http_origins = ["https://{"a" * 200}.example"]')
    _code, out, _err = run(capsys, "show", "a.toml")
    assert [line for line in out.splitlines() if len(line) > 120 and "http_origins" not in line] == []


def test_check_warns_of_two_upstreams_that_are_one(capsys: pytest.CaptureFixture[str]) -> None:
    entries = "".join(f'[[upstreams]]\nname = "{name}"\naddress = ":11111"\n' for name in ("hk", "us"))
    Path("a.toml").write_text(entries)
    code, out, err = run(capsys, "check", "a.toml")
    assert (code, out) == (0, "a.toml: in order\n")
    assert err.startswith("opendmux: a.toml: upstreams: 'hk' and 'us' are the same OpenD at :11111: ")
    assert err.count("\n") == 1


def test_check_warns_of_an_alert_that_could_tell_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.toml").write_text('[[alerts]]\ncommand = ["./nowhere"]')
    code, out, err = run(capsys, "check", "a.toml")
    assert (code, out) == (0, "a.toml: in order\n")
    assert err.startswith("opendmux: a.toml: alerts: alert 1: ./nowhere can't be run from here: ")
    assert err.count("\n") == 1


def test_show_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.toml").write_text('[[upstreams]]\nname = "a"\naddress = "sim"')
    _code, out, _err = run(capsys, "show", "a.toml", "--json")
    shown = json.loads(out)
    assert (shown["file"], shown["notes"]) == ("a.toml", [])
    settings = {row["key"]: row for row in shown["settings"]}
    one = {"name": "a", "address": "sim", "rsa_private_key": "", "telnet": "", "quote_right": "never"}
    assert settings["upstreams"]["value"] == [one]
    assert settings["upstreams"]["from"] == "a.toml"
    assert settings["keys"] == {"key": "keys", "value": "", "source": "default", "from": None}


def test_nothing_is_changed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "show", "--changed") == (0, "", "")


# -- init


def test_init_writes_a_file_that_is_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _err = run(capsys, "init")
    assert (code, out.split(":")[0]) == (0, TEMPLATE)
    assert load(Path(TEMPLATE)) == Config()
    assert run(capsys, "check", TEMPLATE)[0] == 0


def test_init_never_writes_over_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.toml").write_text("mine")
    code, _out, err = run(capsys, "init", "a.toml")
    assert (code, err) == (2, "opendmux: a.toml is there already; it is left as it is\n")
    assert Path("a.toml").read_text() == "mine"
    assert run(capsys, "init", "none/a.toml")[2] == "opendmux: cannot write none/a.toml: No such file or directory\n"


def uncommented(text: str) -> str:
    return re.sub(r"^# (\w+ = |\[\[)", r"\1", text, flags=re.MULTILINE)


def test_the_file_of_init_has_every_key_with_its_default() -> None:
    text = (ROOT / "src" / "opendmux" / "cli" / TEMPLATE).read_text(encoding="utf-8")
    data = tomllib.loads(uncommented(text))
    single = {entry.key: entry for entry in entries() if not entry.repeated}
    for key, entry in single.items():
        place = data[entry.table] if entry.table else data
        assert msgspec.convert(place[entry.name], entry.kind) == entry.default, key
    for entry in entries():
        if entry.repeated:
            value = msgspec.convert(data[entry.table][0][entry.name], entry.kind)
            assert entry.default in (msgspec.NODEFAULT, None, value), entry.key


# -- the page


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: str(entry.key))
def test_the_page_has_every_key_with_unit_and_default(entry: Entry) -> None:
    key, default = entry.key, entry.default
    sections = dict(re.findall(r"^### `(.+?)`\n\n(.+?)(?=\n##|\Z)", PAGE, flags=re.MULTILINE | re.DOTALL))
    found = re.fullmatch(r"(.+)\n\n\*(.+)\*\s*", sections[key], flags=re.DOTALL)
    assert found is not None
    text, facts = found.groups()
    assert len(text) > 10
    if default not in (msgspec.NODEFAULT, None):
        assert f"default `{msgspec.json.encode(default).decode()}`".replace('","', '", "') in facts
    if not entry.repeated:
        assert f"`{variable_of(entry)}`" in facts
    assert ("changed by SIGHUP" in facts) == (key in LIVE)


def test_page_and_file_are_up_to_date() -> None:
    words = [sys.executable, "docs/gen_config.py", "--check"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_check_and_init_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "init", "a.toml", "--json")
    assert (code, json.loads(out)) == (0, {"file": "a.toml"})
    code, out, _ = run(capsys, "check", "a.toml", "--json")
    assert (code, json.loads(out)) == (0, {"file": "a.toml", "notes": []})
    code, out, err = run(capsys, "check", "none.toml", "--json")
    assert (code, out) == (2, "")
    assert "none.toml" in json.loads(err)["error"]["text"]
