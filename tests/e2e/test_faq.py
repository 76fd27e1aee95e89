"""Which tests show the answer to each question of OpenD's FAQ, in one place: a question without a test fails, and so
does a test that is named here and is no more.

The page for users is docs/operating.md.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from functools import cache

import pytest

from .harness import HERE

ROOT = HERE.parents[1]
QUESTIONS = 19

Shown = Mapping[str, str]
"""What is shown, by the test that shows it: ``path::name``, below tests/."""

ANSWERS: Mapping[int, Shown] = {
    1: {
        "e2e/test_doctor.py::test_every_state_of_the_program_has_its_sentence": "doctor names what is not done",
        "core/test_program.py::test_every_state": "a running proxy has the same condition",
        "core/test_conditions.py::test_they_answer_the_official_questions": "its sentence says what to do",
    },
    2: {
        "e2e/test_doctor.py::test_the_data_is_gone": "doctor finds the data folder and says what is missing",
        "cli/doctor/test_folders.py::test_appdata_of_the_program_folder_is_named": "and where Appdata.dat is",
        "cli/doctor/test_folders.py::test_places_by_system": "on each system",
    },
    3: {
        "e2e/test_doctor.py::test_our_port_is_taken": "doctor says which process has our port",
        "runtime/test_server.py::test_a_port_in_use_is_one_clear_sentence": "so does the start",
        "cli/doctor/test_programs.py::test_two_files_with_one_port": "two OpenDs on one port",
    },
    4: {
        "e2e/test_opend.py::test_the_code_from_the_phone_through_the_proxy": "the code goes in by the console",
        "e2e/test_opend.py::test_the_code_by_the_protocol_where_there_is_no_console": "or by protocol 1006",
        "runtime/test_watch.py::test_a_code_is_needed": "readiness says that one is needed",
        "e2e/test_alerts.py::test_every_trouble_is_told_and_over_while_a_program_goes_on": "an alert says so too",
        "core/test_operation_rates.py": "no more often than OpenD's documented limits allow",
    },
    5: {
        "e2e/test_languages.py::test_without_keys": "the client of each language runs as it stands on the page",
        "e2e/test_languages.py::test_with_a_key": "and with a key",
        "e2e/test_languages.py::test_every_client_is_run_and_is_on_the_page": "none is left out but C#",
    },
    6: {
        "cli/doctor/test_folders.py::test_no_device_id": "Device.dat is missing or empty",
        "cli/doctor/test_folders.py::test_copies_of_the_device_id": "the same one in two folders",
        "cli/doctor/test_folders.py::test_a_young_device_id_may_be_one_of_many": "a new one at each start",
    },
    7: {
        "deploy/test_container.py": "the image: not root, read-only, healthy only when it is ready",
        "deploy/test_units.py": "the systemd units",
        "e2e/test_notify.py::test_a_service_from_start_to_stop": "it tells systemd how it is",
    },
    8: {
        "e2e/test_sharing.py": "all programs are one terminal and share one set of subscriptions",
        "core/test_rights.py::test_lost_and_back": "a right that another terminal has taken is noticed",
    },
    9: {
        "core/test_quote_right.py::test_never_asks_for_nothing_and_still_knows": "the policy `never`",
        "core/test_quote_right.py::test_when_lost_asks_a_few_times_ever_more_slowly_and_gives_up": "policy `when-lost`",
        "core/test_quote_right.py::test_always_goes_on_with_the_longest_wait": "the policy `always`",
        "cli/doctor/test_xml.py::test_the_policy_of_the_quote_right": "doctor reads OpenD's own policy",
    },
    10: {
        "e2e/test_opend.py::test_quotes_flow_again_after_the_phone_has_taken_them": "opendmux takes the right back",
        "core/test_quote_right.py::test_who_takes_it_again_within_ten_seconds_is_let_alone": "by the 10-second rule",
    },
    11: {
        "e2e/test_opend.py::test_by_default_the_phone_keeps_them_and_it_is_said": "the phone keeps them",
        "runtime/test_quote_rights.py::test_never_only_says_so": "and it is said",
    },
    12: {
        "runtime/test_watch.py::test_a_login_that_is_lost_is_a_reason": "a lost login is a condition",
        "e2e/test_alerts.py::test_a_feed_that_falls_silent": "an alert says so",
        "core/test_mute.py::test_a_busy_feed_is_mute_after_the_time_that_is_set": "so is a feed that says nothing",
        "e2e/test_opend.py::test_a_password_goes_in_by_stdin_and_comes_out_nowhere": "relogin, on request",
    },
    13: {
        "e2e/test_doctor.py::test_a_bundle": "one file for support",
        "cli/doctor/test_bundle.py::test_no_planted_secret_is_in_it": "without secrets",
        "cli/doctor/test_xml.py::test_a_log_that_is_of_no_use": "the level of OpenD's log",
        "cli/doctor/test_folders.py::test_the_last_errors_of_the_log": "and where it is",
    },
    14: {
        "e2e/test_doctor.py::test_nothing_listens": "the wrong port",
        "e2e/test_doctor.py::test_all_connections_are_used_up": "128 connections",
        "e2e/test_doctor.py::test_opend_listens_on_another_address": "the wrong address",
        "runtime/test_server.py::test_a_thousand_clients_share_one_upstream_connection": "opendmux takes one",
        "e2e/test_status_commands.py::test_who_is_there_and_what_they_hold": "clients list and kill",
    },
    15: {
        "runtime/test_goodbye.py::test_a_client_without_keep_alive_is_not_closed": "a silent client stays",
        "e2e/test_goodbye.py::test_the_sdk_hands_the_reason_to_the_program_and_connects_again": "why one is closed",
        "e2e/test_goodbye.py::test_a_program_of_ones_own_without_keep_alive_is_told_when_opendmux_stops": "by hand too",
        "runtime/test_session.py::test_keep_alive_is_answered_here": "KeepAlive needs no OpenD",
    },
    16: {
        "e2e/test_fork.py::test_the_sdk_in_several_processes": "spawn works, fork hangs in the child alone",
    },
    17: {
        "e2e/test_several.py::test_each_port_leads_to_its_own_opend": "two upstreams, two ports",
        "e2e/test_doctor.py::test_two_opends_have_a_heading_each": "doctor looks at both",
        "cli/doctor/test_programs.py::test_two_programs_out_of_one_folder": "two that are in each other's way",
    },
    18: {
        "e2e/test_opend.py::test_the_sample_of_the_faq_byte_for_byte": "the FAQ's script is what goes over the wire",
        "e2e/test_opend.py::test_the_sample_as_it_stands": "and works with our console",
        "runtime/test_quote_rights.py::test_the_limit_of_all_who_send_it_is_kept": "within its documented rate",
    },
    19: {
        "cli/doctor/test_word.py::test_versions": "doctor compares OpenD's version with the SDK's",
        "e2e/test_doctor.py::test_every_state_of_the_program_has_its_sentence": "an update that is forced",
    },
}

PAIRS = [(number, shown, why) for number, answers in ANSWERS.items() for shown, why in answers.items()]


@cache
def names_in(path: str) -> frozenset[str]:
    """The tests in a file below tests/; AssertionError where there is none."""
    file = ROOT / "tests" / path
    assert file.is_file(), f"{path} is not there"
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(function.name for function in functions if function.name.startswith("test_"))


@pytest.mark.parametrize("number", range(1, QUESTIONS + 1))
def test_every_question_is_answered(number: int) -> None:
    assert ANSWERS.get(number), f"Q{number} of the FAQ has no test"


@pytest.mark.parametrize(("number", "shown", "why"), PAIRS, ids=[f"Q{number}-{shown}" for number, shown, _why in PAIRS])
def test_what_is_named_is_there(number: int, shown: str, why: str) -> None:
    path, _, name = shown.partition("::")
    tests = names_in(path)
    assert tests
    assert not name or name in tests, f"Q{number}: {path} has no {name}"
    assert len(why.split()) > 1


@pytest.mark.parametrize("number", range(1, QUESTIONS + 1))
def test_the_page_has_a_heading_for_it(number: int) -> None:
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    headings = " ".join(re.findall(r"^### (Q.*?):", page, re.MULTILINE))
    assert re.search(rf"\bQ{number}\b", headings)
