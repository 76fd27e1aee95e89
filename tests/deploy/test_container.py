"""The container: what its files say, and opendmux as process 1 on a read-only root, without a container engine.

No image is built here. The steps that build it are those of `make package`: the same `pip install`, in the same kind of
environment.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from opendmux import cli
from opendmux.config import Timeouts
from tests.e2e.harness import PATIENCE_S, Process

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
USER = "65532"
hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")


def instructions(stage: int) -> list[tuple[str, str]]:
    """Of one stage of the Containerfile; what stands before the first FROM is in none."""
    text = re.sub(r"\\\n\s*", "", (DEPLOY / "Containerfile").read_text(encoding="utf-8"))
    lines = [line.split(" ", 1) for line in text.splitlines() if line and not line.startswith("#")]
    stages: list[list[tuple[str, str]]] = []
    for word, rest in lines:
        if word == "FROM":
            stages.append([])
        if stages:
            stages[-1].append((word, rest))
    return stages[stage]


def values(stage: int, word: str) -> list[str]:
    return [rest for name, rest in instructions(stage) if name == word]


def compose(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))
    return found


COMPOSED = [compose(name)["services"]["opendmux"] for name in ("compose.yaml", "compose.opend.yaml")]


@pytest.mark.skipif(hadolint is None, reason="hadolint is packaged for Linux on x86-64 alone")
def test_the_linter_has_nothing_to_say() -> None:
    done = subprocess.run(
        [str(hadolint), "--failure-threshold", "style", str(DEPLOY / "Containerfile")], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_what_runs_is_no_shell_and_not_root() -> None:
    assert values(-1, "USER") == [f"{USER}:{USER}"], "a number: whoever checks for root need not look a name up"
    assert json.loads(values(-1, "ENTRYPOINT")[0]) == ["opendmux"]
    assert json.loads(values(-1, "CMD")[0]) == ["serve"]
    assert values(-1, "STOPSIGNAL") == ["SIGTERM"]
    assert [rest.split()[0] for rest in values(-1, "COPY")] == ["--from=build"], "no compiler, no source"
    names = [name for name, _rest in instructions(-1)]
    assert names.index("RUN") < names.index("USER") < names.index("ENTRYPOINT")


def test_its_health_is_readiness() -> None:
    (health,) = values(-1, "HEALTHCHECK")
    words = json.loads(health[health.index("[") :])
    assert words == ["opendmux", "status"]


def test_it_is_a_python_that_there_are_wheels_for() -> None:
    (version,) = re.findall(r"(?m)^ARG PYTHON=(\S+)$", (DEPLOY / "Containerfile").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert f"cp{version.replace('.', '')}-*" in project["tool"]["cibuildwheel"]["build"]


def test_the_build_sees_what_it_needs_and_no_secret() -> None:
    rules = (DEPLOY / "Containerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert rules[1:] == (DEPLOY / ".containerignore").read_text(encoding="utf-8").splitlines()[1:]
    rules = [rule for rule in rules if rule and not rule.startswith("#")]
    assert rules[0] == "*", "nothing but what is named"
    shown = [rule[1:] for rule in rules if rule.startswith("!")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"pyproject.toml", "setup.py", "src", "_native", project["readme"], *project["license-files"]} <= set(shown)
    assert all((ROOT / name).exists() for name in shown)


@pytest.mark.parametrize("service", COMPOSED, ids=["host", "opend"])
def test_a_composed_service_may_write_to_its_state_alone(service: Mapping[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["volumes"] == ["state:/var/lib/opendmux"]
    assert "privileged" not in service
    environment = dict(re.findall(r"(\w+)=(\S+)", values(-1, "ENV")[0]))
    written = [Path(environment["OPENDMUX_ADMIN_SOCKET"]).parent, Path(environment["OPENDMUX_STATE_DIR"])]
    places = [Path(mount.partition(":")[0]) for mount in service["tmpfs"]] + [Path("/var/lib/opendmux")]
    assert all(place in places for place in written)
    assert f"uid={USER},gid={USER}" in service["tmpfs"][0]
    assert float(service["stop_grace_period"].removesuffix("s")) > 2 * Timeouts().drain_s


def test_nothing_is_published_beyond_this_computer() -> None:
    assert "ports" not in COMPOSED[0]
    assert COMPOSED[0]["network_mode"] == "host"
    assert "OPENDMUX_LISTEN" not in COMPOSED[0]["environment"], "the default is the loopback address"
    assert all(port.startswith("127.0.0.1:") for port in COMPOSED[1]["ports"])
    opend = compose("compose.opend.yaml")["services"]["opend"]
    assert "ports" not in opend


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """Of the published service, its files in a folder of the test."""
    assert cli.main(["keys", "add", "--keys", str(tmp_path / "keys.json"), "--id", "a", "--scopes", "qot:read"]) == 0
    assert cli.main(["tls", "self-signed", "--out", str(tmp_path)]) == 0
    found = {name: value.replace("/run/secrets", str(tmp_path)) for name, value in COMPOSED[1]["environment"].items()}
    for name in [name for name in os.environ if name.startswith("OPENDMUX_")]:
        monkeypatch.delenv(name)
    return found


@pytest.mark.parametrize(
    ("without", "code", "said"),
    [
        ([], 0, ""),
        (["OPENDMUX_KEYS"], 2, "listening on 0.0.0.0:33333 without keys would let other machines trade"),
        (["OPENDMUX_TLS__CERT", "OPENDMUX_TLS__KEY"], 2, "listening on 0.0.0.0:33333 without TLS"),
        (["OPENDMUX_KEYS", "OPENDMUX_TLS__CERT", "OPENDMUX_TLS__KEY", "OPENDMUX_LISTEN"], 0, ""),
    ],
)
def test_a_published_port_has_keys_and_tls_or_there_is_no_start(
    environment: dict[str, str],
    without: list[str],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        if name not in without:
            monkeypatch.setenv(name, value)
    capsys.readouterr()
    assert cli.main(["config", "check"]) == code
    assert said in capsys.readouterr().err


class Container:
    """A process 1 of its own, without capabilities, on a root that is read-only but for two places in memory."""

    def __init__(self, state: Path, *arguments: str) -> None:
        command = [*drop_rights(), sys.executable, "-m", "opendmux", *arguments]
        script = (
            "mount --bind / /mnt && mount -o remount,bind,ro /mnt && "
            f"mount -t tmpfs -o mode=0700,uid={USER},gid={USER} state /mnt{state} && "
            "mount --rbind /proc /mnt/proc && mount --rbind /dev /mnt/dev && "
            'cd /mnt && exec chroot /mnt "$@"'
        )
        shell = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script, "sh"]
        self.environ = {"OPENDMUX_ADMIN_SOCKET": f"{state}/admin.sock", "OPENDMUX_STATE_DIR": str(state)}
        self.process = Process([*shell, *command], env={**self.environ, "PYTHONDONTWRITEBYTECODE": "1"})

    @property
    def pid(self) -> int:
        """Of process 1, as the world outside knows it."""
        outer = self.process.popen.pid
        return int(Path(f"/proc/{outer}/task/{outer}/children").read_text(encoding="ascii").split()[0])

    def enter(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """As a container engine runs the health check: one more process inside."""
        inside = ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--root", "--wd=/"]
        return subprocess.run(
            [*inside, *drop_rights(), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, **self.environ},
        )


def drop_rights() -> list[str]:
    words = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs"]
    if _readable():
        return [*words, "--inh-caps=-all", "--bounding-set=-all"]
    # The interpreter of this machine is in a folder of root's; to read is all that is allowed beyond.
    allowed = "-all,+dac_read_search"
    return [*words, f"--inh-caps={allowed}", f"--ambient-caps={allowed}", f"--bounding-set={allowed}"]


def _readable() -> bool:
    words = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", sys.executable, "-c", "import opendmux"]
    return subprocess.run(words, capture_output=True).returncode == 0


def why_not() -> str:
    """Why there can't be a `Container` here."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "only root on Linux may make name spaces"
    missing = [name for name in ("unshare", "nsenter", "setpriv", "chroot") if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} of util-linux and coreutils are not on this machine"
    trial = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", "mount --bind / /mnt"]
    done = subprocess.run(trial, capture_output=True, text=True)
    return f"name spaces are not allowed here: {done.stderr.strip()}" if done.returncode else ""


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A folder in the root that is not the test's, so that others may go there."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    place = Path("/tmp") / f"opendmux-container-{os.getpid()}-{tmp_path.name[-20:]}"
    place.mkdir()
    yield place
    place.rmdir()


def test_process_one_serves_is_healthy_and_stops(state: Path) -> None:
    container = Container(state, "--upstream", "sim", "--listen", "127.0.0.1:0")
    with container.process as process:
        process.wait_for(r"connect to \S*?:(\d+)")
        status = Path(f"/proc/{container.pid}/status").read_text(encoding="ascii")
        assert re.search(rf"Uid:\t{USER}\t{USER}\t{USER}\t{USER}", status)
        assert re.search(r"NSpid:\t\d+\t1\n", status)
        assert re.search(r"NoNewPrivs:\t1\n", status)
        write = "import pathlib; pathlib.Path('/tmp/x').write_text('x')"
        assert "Read-only file system" in container.enter(sys.executable, "-c", write).stderr
        health = container.enter(sys.executable, "-m", "opendmux", "status")
        assert (health.returncode, health.stderr) == (0, "")
        assert ": ready, up" in health.stdout
        states = "import glob; print([p for p in glob.glob('/proc/[0-9]*/stat') if open(p).read().split()[2] == 'Z'])"
        assert container.enter(sys.executable, "-c", states).stdout == "[]\n"
        os.kill(container.pid, signal.SIGHUP)
        process.wait_for_error("the settings are as they were")
        os.kill(container.pid, signal.SIGTERM)
        assert process.wait() == 0


def test_without_opend_it_lives_and_is_not_healthy(state: Path) -> None:
    container = Container(state, "--upstream", "127.0.0.1:9", "--listen", "127.0.0.1:0")
    with container.process as process:
        process.wait_for_error("waiting for it")
        health = container.enter(sys.executable, "-m", "opendmux", "status")
        assert health.returncode == 1
        assert "OpenD at 127.0.0.1:9 has been away" in health.stdout
        os.kill(container.pid, signal.SIGTERM)
        assert process.popen.wait(PATIENCE_S) == 0
