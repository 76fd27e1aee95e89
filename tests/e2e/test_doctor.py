"""`opendmux doctor` as a user runs it, against the simulator in every bad state and against ports that are no OpenD.

Every run has a home of its own, looks for a running opendmux on a port that nobody has, and reads no settings but its
own.
"""

from __future__ import annotations

import io
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from opendmux.cli import main
from opendmux.cli.doctor import _call, _speech
from opendmux.wire.cipher import RsaKey

from .harness import PATIENCE_S, Control, Opendmux, Process

linux = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux shows its sockets in /proc")

PROBLEM = "problem"


class Done(NamedTuple):
    """A run."""

    code: int
    stdout: str
    stderr: str


class Report:
    """What doctor printed as JSON."""

    def __init__(self, done: Done) -> None:
        assert done.code in (0, 1), done.stderr
        self.code = done.code
        self.tree = json.loads(done.stdout)
        assert (self.code == 1) is (self.tree["state"] == PROBLEM)

    def of(self, check: str) -> dict[str, Any]:
        """The only finding of this check."""
        (found,) = [one for one in self.tree["findings"] if one["check"] == check]
        return dict(found)

    def problems(self) -> list[str]:
        return [one["check"] for one in self.tree["findings"] if one["state"] == PROBLEM]


class Patient:
    """A home and a port for one test."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.config = folder / "opendmux.toml"
        self.port = free_port()
        self.settings("")

    def settings(self, text: str) -> None:
        self.config.write_text(f'listen = ["127.0.0.1:{self.port}"]\n{text}')

    def run(self, *words: str) -> Done:
        """As the command line does, in this process: a start takes a second."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name in [name for name in os.environ if name.startswith("OPENDMUX_")]:
                patch.delenv(name)
            patch.setenv("HOME", str(self.home))
            patch.setenv("OPENDMUX_ADMIN_SOCKET", "off")
            code = main(["doctor", "--config", str(self.config), *words])
        return Done(code, out.getvalue(), err.getvalue())

    def run_apart(self, *words: str) -> Done:
        """The same in a process of its own."""
        command = [sys.executable, "-m", "opendmux", "doctor", "--config", str(self.config), *words]
        env = {name: value for name, value in os.environ.items() if not name.startswith("OPENDMUX_")}
        env |= {"HOME": str(self.home), "OPENDMUX_ADMIN_SOCKET": "off"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)
        return Done(done.returncode, done.stdout, done.stderr)

    def report(self, *words: str) -> Report:
        return Report(self.run("--json", *words))


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(tmp_path)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For those that never answer."""
    monkeypatch.setattr(_call, "ANSWER_S", 0.5)
    monkeypatch.setattr(_speech, "WAIT_S", 0.3)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class SimControl(Control):
    """Knows where the console is, too."""

    def __init__(self, port: int, telnet: int) -> None:
        super().__init__(port)
        self.telnet = telnet


@contextmanager
def simulator(*words: str) -> Iterator[tuple[str, SimControl]]:
    with Opendmux("sim", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", *words) as sim:
        found = sim.wait_for(r"OpenD on (\S+), seed.*control on [^\s:]+:(\d+)(?:, Telnet console on [^\s:]+:(\d+))?")
        control = SimControl(int(found[2]), int(found[3] or 0))
        try:
            yield found[1], control
        finally:
            control.close()


@contextmanager
def fake(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A port of this process that treats every connection alike."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def one(sock: socket.socket) -> None:
            with sock, suppress(OSError):
                answer(sock)

        def accept() -> None:
            while not over.is_set():
                try:
                    sock, _peer = server.accept()
                except OSError:
                    return
                sock.settimeout(PATIENCE_S)
                threading.Thread(target=one, args=(sock,), daemon=True).start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            over.set()
            server.shutdown(socket.SHUT_RDWR)
            accepting.join(PATIENCE_S)


def read_all(sock: socket.socket) -> None:
    """Until the other side has had enough."""
    while sock.recv(4096):
        pass


# -- a healthy one


def test_a_healthy_opend(patient: Patient) -> None:
    with simulator() as (upstream, _control):
        report = patient.report("--upstream", upstream)
        shown = patient.run_apart("--upstream", upstream)
    assert report.code == 0
    assert report.problems() == []
    assert report.of("OpenD's port")["conclusion"] == f"OpenD answers at {upstream}."
    assert report.of("program")["conclusion"] == "OpenD's program is ready."
    assert report.of("quota")["figures"].startswith("0 of 1000 subscriptions used")
    assert report.of("keep-alive")["state"] == "ok"
    assert abs(float(report.of("clock")["figures"].split()[0])) < 5
    assert shown.code == 0
    assert shown.stdout.splitlines()[0].endswith("nothing is in the way") or "all is well" in shown.stdout
    assert "\x1b" not in shown.stdout, "no colours in a pipe"


def test_it_asks_for_nothing_but_state(patient: Patient) -> None:
    with simulator() as (upstream, control):
        patient.report("--upstream", upstream)
        asked = control.ask("report")
        assert sorted(map(int, asked["requests"])) == [1001, 1002, 1003 + 1, 1005, 3003]
        (user,) = control.ask("requests", proto_id=1005)["requests"]
        assert "2048" not in user["c2s"], "the web login ticket is never asked for"


# -- what OpenD says of itself: Q1, Q2, Q4, Q8-Q12, Q19

STATES = [
    (3, "program", "waits for the code in a picture"),
    (4, "program", "waits for the code that was sent to the phone"),
    (5, "program", "could not log in"),
    (6, "program", "must be updated"),
    (8, "program", "lacks its own data"),
    (9, "program", "until the questionnaire and the agreements of the API are done"),
    (12, "program", "could not fetch the agreements"),
    (11, "program", "was logged out: its account logged in at another place"),
    (2, "program", "is starting"),
]


def test_every_state_of_the_program_has_its_sentence(patient: Patient) -> None:
    with simulator() as (upstream, control):
        for number, check, sentence in STATES:
            control.ask("program_status", type=number, text=f"OpenD's words {number}")
            report = patient.report("--upstream", upstream)
            found = report.of(check)
            assert report.code == 1
            assert sentence in found["conclusion"]
            assert f"OpenD says: OpenD's words {number}" in found["figures"]
            assert found["next_step"]


def test_what_opend_says_when_it_is_asked(patient: Patient) -> None:
    with simulator() as (upstream, control):
        control.ask("about", version=1009, clock_ahead_s=-90, update_type=2, must_agree=True)
        control.ask("notify", qot_logined=False, trd_logined=False)
        control.ask("lost_rights", markets=[1])
        control.ask("quota", value=1)
        report = patient.report("--upstream", upstream)
        patient.settings(f'upstream = "{upstream}"\ntelnet = "127.0.0.1:{control.telnet}"\nquote_right = "when-lost"\n')
        asking = patient.report()
        control.ask("about", update_type=1, must_agree=False, version=1012)
        control.ask("kick")
        control.ask("refuse", proto_id=3003, text="not today")
        later = patient.report("--upstream", upstream)
        control.ask("refuse", proto_id=1002, text="not today")
        control.ask("refuse", proto_id=1005, text="not today")
        last = patient.report("--upstream", upstream)
    assert "lost its login for quotes" in report.of("quote login")["conclusion"]
    assert "orders are refused" in report.of("trade login")["conclusion"]
    assert "OpenD 10.9" in report.of("OpenD's version")["figures"]
    assert report.of("OpenD's version")["state"] == "warning"
    seconds = re.findall(r"^OpenD's clock is (\d+) s behind ours\.$", report.of("clock")["conclusion"])
    assert seconds in (["90"], ["91"]), "OpenD tells whole seconds"
    assert "must be updated" in report.of("update")["conclusion"]
    assert "agreements of the API" in report.of("agreement")["conclusion"]
    rights = report.of("quote rights")
    assert rights["state"] == "warning"
    assert "BMP, for HK stocks" in rights["conclusion"]
    assert "opendmux opend request_highest_quote_right" in rights["next_step"]
    assert 'quote_right = "when-lost"' in rights["next_step"]
    assert "opendmux asks it back by itself" in asking.of("quote rights")["next_step"], "the settings say so already"
    assert "when-lost" not in asking.of("quote rights")["next_step"]
    assert later.of("quote rights")["state"] == PROBLEM, "nothing at all can be subscribed"
    assert later.of("update")["state"] == "warning"
    assert "newer than the 10.11" in later.of("OpenD's version")["conclusion"]
    assert later.of("quota")["figures"].startswith("1 subscriptions")
    assert last.of("program")["figures"] == "GetGlobalState: not today"
    assert last.of("quote rights")["state"] == "unknown"


# -- Q14: the port


def test_nothing_listens(patient: Patient) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    assert patient.run_apart("--upstream", nowhere).code == 1
    report = patient.report("--upstream", nowhere)
    assert report.of("OpenD's port")["conclusion"].startswith("Nothing listens on 127.0.0.1:")
    assert "compare api_port" in report.of("OpenD's port")["next_step"]


@linux
def test_opend_listens_on_another_address(patient: Patient) -> None:
    with socket.create_server(("127.0.0.2", 0)) as other:
        port = other.getsockname()[1]
        found = patient.report("--upstream", f"127.0.0.1:{port}").of("OpenD's port")
    assert "something listens on that port of another address" in found["conclusion"]
    assert f"--upstream 127.0.0.2:{port}" in found["next_step"]
    assert f"(pid {os.getpid()})" in found["figures"]


def test_http_is_no_opend(patient: Patient) -> None:
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(patient.home)]
    with Process(command) as server:
        port = int(server.wait_for(r"port (\d+)")[1])
        found = patient.report("--upstream", f"127.0.0.1:{port}").of("OpenD's port")
    assert found["conclusion"] == (f"Another program listens on 127.0.0.1:{port}: it speaks HTTP and is not OpenD.")
    assert found["next_step"].startswith("Check --upstream: ")
    if Path("/proc/net/tcp").exists():
        assert (
            found["figures"]
            == f"the program there: {Path(sys.executable).name} -m http.server (pid {server.popen.pid})"
        )


def test_tls_is_no_opend(patient: Patient, tmp_path: Path) -> None:
    assert main(["tls", "self-signed", "--out", str(tmp_path / "tls")]) == 0
    files = sorted((tmp_path / "tls").iterdir())
    (certificate,) = [path for path in files if b"BEGIN CERTIFICATE" in path.read_bytes()]
    (private,) = [path for path in files if b"PRIVATE KEY" in path.read_bytes()]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private)

    def answer(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as secure:
            secure.recv(1)

    with fake(answer) as upstream:
        found = patient.report("--upstream", upstream).of("OpenD's port")
    assert "it speaks TLS and is not OpenD" in found["conclusion"]


def test_a_greeting_of_something_else(patient: Patient) -> None:
    def answer(sock: socket.socket) -> None:
        sock.sendall(b"SSH-2.0-x\r\n")
        read_all(sock)

    with fake(answer) as upstream:
        found = patient.report("--upstream", upstream).of("OpenD's port")
    assert "it speaks SSH" in found["conclusion"]


@pytest.mark.usefixtures("impatient")
def test_one_that_says_nothing(patient: Patient) -> None:
    with fake(read_all) as upstream:
        found = patient.report("--upstream", upstream).of("OpenD's port")
    assert "takes connections and answers nothing" in found["conclusion"]
    assert "upstream_rsa_private_key" in found["next_step"]


def test_one_that_closes_at_once(patient: Patient) -> None:
    with fake(lambda _sock: None) as upstream:
        found = patient.report("--upstream", upstream).of("OpenD's port")
    assert "closes them before InitConnect is answered" in found["conclusion"]


@linux
def test_all_connections_are_used_up(patient: Patient) -> None:
    with simulator() as (upstream, control):
        host, _colon, port = upstream.rpartition(":")
        held = [socket.create_connection((host, int(port))) for _ in range(128)]
        try:
            while len([one for one in control.ask("report")["connections"] if one["closed_at"] is None]) < 128:
                pass
            found = patient.report("--upstream", upstream).of("OpenD's port")
        finally:
            for sock in held:
                sock.close()
    assert found["conclusion"] == "OpenD closes each new connection: its 128 connections are used up."
    assert f"(pid {os.getpid()}): 128" in found["figures"]


@linux
def test_nearly_all_connections_are_used_up(patient: Patient) -> None:
    with simulator() as (upstream, _control):
        host, _colon, port = upstream.rpartition(":")
        held = [socket.create_connection((host, int(port))) for _ in range(101)]
        try:
            found = patient.report("--upstream", upstream).of("connections")
        finally:
            for sock in held:
                sock.close()
    assert found["state"] == "warning"
    assert found["figures"].startswith("10")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", [{"command": "stall"}, {"command": "black_hole", "on": True}])
def test_opend_hangs(patient: Patient, fault: dict[str, Any]) -> None:
    with simulator() as (upstream, control):
        control.ask(**fault)
        found = patient.report("--upstream", upstream).of("OpenD's port")
        control.ask("resume")
    assert "answers nothing: OpenD hangs" in found["conclusion"]


def test_opend_has_crashed(patient: Patient) -> None:
    with simulator() as (upstream, control):
        control.ask("crash", seconds=600)
        found = patient.report("--upstream", upstream).of("OpenD's port")
    assert "Nothing listens" in found["conclusion"] or "closes" in found["conclusion"]


def make_key(path: Path) -> Path:
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", str(path), "1024"], check=True, capture_output=True)
    RsaKey.load(str(path))
    return path


def test_encryption(patient: Patient, tmp_path: Path) -> None:
    key, other = make_key(tmp_path / "key.pem"), make_key(tmp_path / "other.pem")
    with simulator("--rsa-private-key", str(key)) as (upstream, _control):
        without = patient.report("--upstream", upstream).of("OpenD's port")
        patient.settings(f'upstream_rsa_private_key = "{other}"\n')
        wrong = patient.report("--upstream", upstream).of("OpenD's port")
        patient.settings(f'upstream_rsa_private_key = "{key}"\n')
        right = patient.report("--upstream", upstream)
    assert without["state"] == PROBLEM
    assert "upstream_rsa_private_key" in without["next_step"]
    assert "the key is not OpenD's, or OpenD does not encrypt" in wrong["conclusion"]
    assert right.of("OpenD's port")["state"] == "ok"
    assert right.of("OpenD's port")["figures"].endswith("encrypted")


# -- opendmux itself: Q3, Q14


@linux
def test_our_port_is_taken(patient: Patient) -> None:
    with simulator() as (upstream, _control), socket.create_server(("127.0.0.1", patient.port)):
        found = patient.report("--upstream", upstream).of("opendmux's port")
    assert found["state"] == PROBLEM
    assert found["figures"].endswith(f"(pid {os.getpid()})")


def until(look: Callable[[], Report], seen: Callable[[Report], bool]) -> Report:
    """Look again until it is so: what a running proxy tells is a second old at most."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        report = look()
        if seen(report):
            return report
        assert time.monotonic() < deadline, report.tree


def test_the_running_opendmux_is_asked(patient: Patient) -> None:
    with (
        simulator() as (upstream, control),
        Opendmux("--config", str(patient.config), "--upstream", upstream) as proxy,
    ):
        proxy.wait_ready()
        report = patient.report("--upstream", upstream)
        unnamed = patient.report()
        loop = patient.report("--upstream", f"127.0.0.1:{patient.port}")
        control.ask("program_status", type=4)
        waiting = until(
            lambda: patient.report("--upstream", upstream), lambda one: one.of("running opendmux")["state"] == PROBLEM
        )
        control.ask("program_status", type=10)
        control.ask("crash", seconds=600)
        proxy.wait_for_error("link lost")
        down = until(
            lambda: patient.report("--upstream", upstream), lambda one: "condition upstream_down" in one.problems()
        )
    assert report.of("running opendmux")["conclusion"] == "opendmux runs and is ready."
    assert report.of("opendmux's port")["state"] in ("ok", "skipped")
    assert unnamed.of("OpenD's port")["conclusion"] == f"OpenD answers at {upstream}.", "the one that the proxy uses"
    assert "is opendmux's own port and not OpenD's" in loop.of("OpenD's port")["conclusion"]
    assert "input_phone_verify_code" in waiting.of("program")["next_step"]
    assert waiting.of("running opendmux")["figures"].startswith(waiting.of("program")["conclusion"]), "one sentence"
    assert "condition code_needed" not in waiting.problems(), "said once"
    assert down.of("running opendmux")["conclusion"] == "opendmux runs and is not ready."


def test_what_the_running_opendmux_tells_too_is_said_once(patient: Patient) -> None:
    with (
        simulator() as (upstream, control),
        Opendmux("--config", str(patient.config), "--upstream", upstream) as proxy,
    ):
        proxy.wait_ready()
        control.ask("lost_rights", markets=[1])
        control.ask("notify", qot_logined=False, trd_logined=False)
        report = until(
            lambda: patient.report("--upstream", upstream),
            lambda one: "LV2 before" in one.of("quote rights")["figures"],
        )
    rights = report.of("quote rights")
    assert (rights["state"], "has lost its quote right for HK stocks" in rights["conclusion"]) == (PROBLEM, True)
    assert rights["figures"].startswith("HK stocks BMP, ")
    assert {"quote login", "trade login"} <= set(report.problems())
    assert [check for check in report.problems() if check.startswith("condition")] == []


def test_one_that_runs_on_another_port_than_the_settings_say(patient: Patient) -> None:
    """What `--connect` names is our port, so the program there, its log and its limits are looked at."""
    with (
        simulator() as (upstream, _control),
        Opendmux("--config", str(patient.config), "--upstream", upstream) as proxy,
    ):
        proxy.wait_ready()
        patient.config.write_text("")
        report = patient.report("--connect", f"127.0.0.1:{patient.port}")
        elsewhere = patient.report("--connect", f"192.0.2.1:{patient.port}", "--upstream", "127.0.0.1:1")
    assert report.of("opendmux's port")["conclusion"] == f"opendmux runs and listens on port {patient.port}."
    assert report.of("running opendmux")["state"] == "ok"
    assert "33333" in elsewhere.of("opendmux's port")["conclusion"], "the port of another machine is not looked at here"


def test_settings_that_do_not_hold(patient: Patient) -> None:
    patient.config.write_text(f'listen = ["127.0.0.1:{patient.port}"]\nupstram = "x"\n')
    with simulator() as (upstream, _control):
        report = patient.report("--upstream", upstream, "--connect", f"127.0.0.1:{patient.port}")
    assert report.of("settings")["state"] == PROBLEM
    assert "did you mean 'upstream'?" in report.of("settings")["figures"]
    assert report.of("OpenD's port")["about"] == f"OpenD at {upstream}"
    default = patient.report("--connect", f"127.0.0.1:{patient.port}").of("OpenD's port")["about"]
    assert default == "OpenD at 127.0.0.1:11111 (the default: the settings can't be read)"


@pytest.mark.parametrize("words", [["--upstream", "nowhere"], ["--connect", "x"], ["--bundle", "report.txt"]])
def test_wrong_usage_is_exit_code_2(patient: Patient, words: list[str]) -> None:
    done = patient.run("--upstream", "sim", *words)
    assert done.code == 2
    assert done.stderr.startswith("opendmux: ")


# -- files, logs and the console: Q2, Q4, Q6, Q9, Q13


def test_opends_files(patient: Patient, tmp_path: Path) -> None:
    base = patient.home / ".com.futunn.FutuOpenD"
    for folder in (base, patient.home / ".com.futunn.FutuOpenD.old"):
        (folder / "F3CNN").mkdir(parents=True)
        (folder / "F3CNN" / "Device.dat").write_text("one device")
    (base / "Log").mkdir()
    (base / "Log" / "GTWLog_1.log").write_text("fine\nError: account 100234567 was refused\n")
    program = tmp_path / "OpenD"
    program.mkdir()
    with simulator("--telnet", "127.0.0.1:0") as (upstream, control):
        telnet = control.telnet
        (program / "OpenD.xml").write_text(
            f"<futu_opend><api_port>{upstream.rpartition(':')[2]}</api_port><telnet_port>{telnet}</telnet_port>"
            "<login_pwd>hunter2</login_pwd><log_level>error</log_level>"
            "<auto_hold_quote_right>0</auto_hold_quote_right></futu_opend>"
        )
        report = patient.report("--upstream", upstream, "--opend-dir", str(program))
        patient.settings(f'upstream = "{upstream}"\ntelnet = "127.0.0.1:{telnet}"\n')
        named = patient.report()
    assert "Several data folders have the same device id" in report.of("device id")["conclusion"]
    assert report.of("OpenD's log")["figures"].endswith("last errors: Error: account <removed> was refused")
    assert "debug for questions about quotes" in report.of("OpenD's log level")["next_step"]
    assert "leaves the quote right" in report.of("quote right policy")["conclusion"]
    assert "in clear text" in report.of("login options")["conclusion"]
    assert "hunter2" not in json.dumps(report.tree)
    assert f'telnet = "127.0.0.1:{telnet}"' in report.of("Telnet console")["next_step"]
    assert named.of("Telnet console")["conclusion"] == "OpenD's Telnet console answers, on this machine alone."
    assert named.of("Telnet console")["next_step"] == ""


def test_the_data_is_gone(patient: Patient) -> None:
    log = patient.home / ".com.futunn.FutuOpenD" / "Log"
    log.mkdir(parents=True)
    (log / "GTWLog_1.log").write_text("the program's own data does not exist\n")
    found = patient.report("--upstream", f"127.0.0.1:{free_port()}").of("OpenD's data")
    assert found["state"] == PROBLEM
    assert "`the program's own data does not exist`" in found["conclusion"]
    assert "Unpack Appdata.dat of the program folder" in found["next_step"]


def test_a_console_for_everybody(patient: Patient) -> None:
    with simulator("--telnet", "0.0.0.0:0") as (upstream, control):
        patient.settings(f'upstream = "{upstream}"\ntelnet = "127.0.0.1:{control.telnet}"\n')
        found = patient.report().of("Telnet console")
    if Path("/proc/net/tcp").exists():
        assert found["state"] == PROBLEM
        assert found["figures"] == f"it listens on 0.0.0.0:{control.telnet}"


def test_a_bundle(patient: Patient) -> None:
    log = patient.home / ".com.futunn.FutuOpenD" / "Log"
    log.mkdir(parents=True)
    (log / "GTWLog_1.log").write_text("login_pwd_md5=e10adc3949ba59abbe56e057f20f883e account 100234567\n")
    bundle = patient.home / "report.tar.gz"
    with (
        simulator() as (upstream, _control),
        Opendmux("--config", str(patient.config), "--upstream", upstream) as proxy,
    ):
        proxy.wait_ready()
        done = patient.run("--upstream", upstream, "--bundle", str(bundle), "--with-opend-logs")
    assert done.code == 0
    assert "may still hold personal data" in done.stderr
    with tarfile.open(bundle) as archive:
        files = {entry.name.partition("/")[2]: archive.extractfile(entry) for entry in archive.getmembers()}
        texts = {name: file.read().decode() for name, file in files.items() if file is not None}
    assert texts["opend.log"] == "login_pwd_md5=<removed> account <removed>\n"
    assert "opendmux_" in texts["metrics.txt"]
    assert json.loads(texts["status.json"])["ready"] is True
    assert f"10.11 at {upstream}" in texts["README.md"]
    assert patient.run("--upstream", upstream, "--bundle", str(bundle)).code == 2, "never over one that is there"


# -- Q17: two OpenDs


def test_two_opends_have_a_heading_each(patient: Patient) -> None:
    with simulator() as (one, _), simulator() as (other, control):
        control.ask("program_status", type=4)
        patient.settings(
            f'[[upstreams]]\nname = "a"\naddress = "{one}"\n[[upstreams]]\nname = "b"\naddress = "{other}"\n'
        )
        report = patient.report()
    found = {each["about"]: each["state"] for each in report.tree["findings"] if each["check"] == "program"}
    assert found == {f"OpenD 'a' at {one}": "ok", f"OpenD 'b' at {other}": PROBLEM}
    steps = [each["next_step"] for each in report.tree["findings"] if each["check"] == "program"]
    assert f"opendmux opend --opend {other} input_phone_verify_code -code=123456" in steps[1]
    assert report.of("several OpenDs")["state"] == "ok"
