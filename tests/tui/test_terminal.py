"""The real program on a real terminal of 80x24 with TERM=screen-256color."""

from __future__ import annotations

import os
import re
import signal
import stat
import time
from pathlib import Path

import pytest

from tests.treasuries import ALICE, BOB, OPENING_BALANCE, ScratchTreasury
from tests.tui.pseudo_terminal import Terminal, on_terminal
from tests.tui.scenes import HOSTILE_SHOWN
from treasury_console.domain.transactions import Decision
from treasury_console.ledger.transactions import TransactionRecord
from treasury_console.operations.payments import deposit
from treasury_console.operations.setup import needs_initialising

ENTER_ALTERNATE, LEAVE_ALTERNATE, SHOW_CURSOR = b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?25h"
TICK = 30
CLOCK_BYTES = 150
"""What the header's clock may add when a minute passes."""

CRASHING = """
from treasury_console.tui.app import ConsoleApp
def action_pause(self):
    password = "hunter2"
    raise RuntimeError("could not connect to postgresql://ops:hunter2@db/treasury")
ConsoleApp.action_pause = action_pause
from treasury_console.tui.main import main
main()
"""


def database(scene: ScratchTreasury) -> list[str]:
    """Return the arguments that name the scene's database."""
    return ["--database", f"sqlite:///{scene.file('treasury')}"]


def oldest(scene: ScratchTreasury) -> TransactionRecord:
    """Return the record of the transfer from Alice to Bob of 100.00."""
    with scene.observer.store.snapshot() as connection:
        from treasury_console.ledger.transactions import list_all

        return next(
            record
            for record in list_all(connection)
            if record.transaction.amount == 10_000 and record.transaction.participants == (ALICE, BOB)
        )


def assert_restored(terminal: Terminal) -> None:
    """The terminal is as it was: the alternate screen left, the cursor shown, nothing but a sentence after that."""
    raw = bytes(terminal.raw)
    assert raw.count(ENTER_ALTERNATE) == raw.count(LEAVE_ALTERNATE) == 1
    after = raw.rsplit(LEAVE_ALTERNATE, 1)[1]
    assert SHOW_CURSOR in after
    assert b"Traceback" not in raw


def test_the_three_panes_are_useful_at_80x24(scene: ScratchTreasury) -> None:
    with on_terminal(database(scene), home=scene.folder) as terminal:
        terminal.until_shown("Pending transactions  5 pending, 5 STUCK", "Balance drift", "Carbon sync", "q quit")
        terminal.until_shown("TXN_ID", "PARTICIPANTS", "VERDICT", "agent_1,agent_2", "commit or rollback")
        terminal.until_shown("No run yet: press r.", "Never synced.")


def test_q_ends_with_status_0_and_a_restored_terminal(scene: ScratchTreasury) -> None:
    with on_terminal(database(scene), home=scene.folder) as terminal:
        terminal.until_shown("q quit")
        terminal.send(b"q")
        assert terminal.wait() == 0
        assert_restored(terminal)


def test_bytes_that_are_no_text_do_not_end_it(scene: ScratchTreasury) -> None:
    """A Latin-1 key and an old terminal's mouse report."""
    with on_terminal(database(scene), home=scene.folder) as terminal:
        terminal.until_shown("q quit")
        terminal.send(b"\xe9\xe8j\x1b[M\xff\xff\xff")
        terminal.until_quiet()
        terminal.send(b"q")
        assert terminal.wait() == 0
        assert_restored(terminal)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_it_with_a_restored_terminal(scene: ScratchTreasury, number: signal.Signals) -> None:
    with on_terminal(database(scene), home=scene.folder) as terminal:
        terminal.until_shown("q quit")
        terminal.signal(number)
        assert terminal.wait() == 128 + number
        assert_restored(terminal)


def test_a_lost_connection_ends_it(scene: ScratchTreasury) -> None:
    with on_terminal(database(scene), home=scene.folder) as terminal:
        terminal.until_shown("q quit")
        terminal.hang_up()
        assert terminal.wait() == 128 + signal.SIGHUP


def test_a_stop_gives_the_terminal_back_and_going_on_takes_it_again(scene: ScratchTreasury) -> None:
    with on_terminal(database(scene), home=scene.folder) as terminal:
        terminal.until_shown("q quit")
        terminal.signal(signal.SIGTSTP)
        terminal.until(lambda: LEAVE_ALTERNATE in terminal.raw)
        os.waitpid(terminal.process, os.WUNTRACED)
        terminal.signal(signal.SIGCONT)
        terminal.until(lambda: bytes(terminal.raw).count(ENTER_ALTERNATE) == 2)
        terminal.until_shown("q quit", "5 pending")
        terminal.send(b"q")
        assert terminal.wait() == 0


def test_to_go_on_without_having_stopped_changes_nothing(scene: ScratchTreasury) -> None:
    with on_terminal(database(scene), home=scene.folder) as terminal:
        terminal.until_shown("q quit", "5 pending")
        terminal.until_quiet()
        terminal.signal(signal.SIGCONT)
        terminal.take_in_for(0.5)
        terminal.send(b"q")
        assert terminal.wait() == 0
        assert_restored(terminal)


def test_a_name_from_hell_is_never_obeyed(scene: ScratchTreasury) -> None:
    with on_terminal(database(scene), home=scene.folder, size=(120, 36)) as terminal:
        terminal.until_shown(HOSTILE_SHOWN)
        terminal.send(b"jjji")
        terminal.until_shown("What may be done", HOSTILE_SHOWN)
        terminal.send(b"b")
        terminal.until_shown("Is this what you expect?", HOSTILE_SHOWN)
        terminal.send(b"\x1b")
        terminal.until_shown("What may be done")
        terminal.send(b"q")
        assert terminal.wait() == 0
        raw = bytes(terminal.raw)
        assert b"pwn\x07" not in raw
        # Textual itself sets the pointer's shape (22); no other command to the terminal, such as a title (0) or the
        # clipboard (52), is ever sent.
        assert set(re.findall(rb"\x1b\]([0-9]+);", raw)) <= {b"22"}
        assert re.search(rb"[\x80-\x9f]", raw.decode().encode("latin-1", "ignore")) is None


def test_nothing_is_sent_while_nothing_changes(scene: ScratchTreasury) -> None:
    with on_terminal(database(scene), home=scene.folder) as terminal:
        terminal.until_shown("q quit", "5 pending")
        terminal.until_quiet()
        left = TICK - time.time() % TICK
        if left < 4:  # The clock in the header is about to move on, and may.
            terminal.take_in_for(left + 1)
        assert terminal.take_in_for(2.0) == b""


def test_a_deposit_elsewhere_that_shows_nowhere_sends_nothing(scene: ScratchTreasury) -> None:
    with on_terminal(database(scene), home=scene.folder) as terminal:
        terminal.until_shown("q quit", "5 pending")
        terminal.until_quiet()
        left = TICK - time.time() % TICK
        if left < 4:
            terminal.take_in_for(left + 1)
        deposit(scene.open(), ALICE, "1.00", "USD")
        assert terminal.take_in_for(1.5) == b""


def test_one_changed_row_costs_few_bytes_at_any_size(scene: ScratchTreasury) -> None:
    for number, size in enumerate([(80, 24), (200, 50)]):
        with on_terminal(
            database(scene), home=scene.folder, size=size, environment={"COLORTERM": "truecolor"}
        ) as terminal:
            terminal.until_shown("q quit", "5 pending", f"3.1{number}")
            terminal.until_quiet()
            before = len(terminal.raw)
            scene.execute("treasury", "UPDATE transactions SET amount = amount + 1 WHERE amount BETWEEN 300 AND 400")
            terminal.until_shown(f"3.1{number + 1}")
            terminal.until_quiet()
            assert len(terminal.raw) - before <= 400 + CLOCK_BYTES


def test_a_whole_force_goes_by_the_keys_of_the_runbook(scene: ScratchTreasury) -> None:
    with on_terminal(database(scene), home=scene.folder) as terminal:
        terminal.until_shown("q quit", "5 pending")
        terminal.send(b"i")
        terminal.until_shown("What may be done")
        terminal.send(b"c")
        terminal.until_shown("Is this what you expect?")
        terminal.until_quiet()
        terminal.send(b"\r")
        terminal.until_shown("Which incident approves this force-commit?")
        terminal.until_quiet()
        terminal.send(b"INC-12345")
        terminal.until_shown("OK well formed")
        terminal.send(b"\r")
        terminal.until_shown("be undone.", "Enter cancels")
        terminal.until_quiet(1.0)
        terminal.send(b"\t")
        terminal.until(lambda: "Enter cancels" not in terminal.text)
        terminal.send(b"commit")
        terminal.until_shown("Enter does it.")
        terminal.send(b"\r")
        terminal.until_shown("COMMITTED", "VERIFIED", "Done.")
        terminal.until_quiet()
        terminal.send(b"\r")
        terminal.until_shown("What may be done")
        terminal.send(b"q")
        assert terminal.wait() == 0
    record = oldest(scene)
    assert record.decision is not None
    assert (record.decision.decision, record.decision.approval) == (Decision.COMMIT, "INC-12345")
    assert scene.account(BOB)[0] == OPENING_BALANCE + 10_000


def test_a_whole_force_typed_ahead_does_nothing(scene: ScratchTreasury) -> None:
    with on_terminal(database(scene), home=scene.folder) as terminal:
        terminal.until_shown("q quit", "5 pending")
        terminal.send(b"c\rINC-12345\r\tcommit\r\r\r")
        terminal.until_shown("step 1 of 3: evidence")
        terminal.until_quiet()
        assert "step 1 of 3: evidence" in terminal.text
    assert oldest(scene).decision is None


def test_everything_after_the_approval_typed_ahead_does_nothing(scene: ScratchTreasury) -> None:
    with on_terminal(database(scene), home=scene.folder) as terminal:
        terminal.until_shown("q quit", "5 pending")
        terminal.send(b"c")
        terminal.until_shown("step 1 of 3: evidence")
        terminal.until_quiet()
        terminal.send(b"\r")
        terminal.until_shown("step 2 of 3: approval")
        terminal.until_quiet()
        terminal.send(b"INC-12345\r\tcommit\r\tcommit\r\r")
        terminal.until_quiet(1.0)
        terminal.send(b"\tcommit\r")
        terminal.until_quiet(1.0)
    assert oldest(scene).decision is None


def test_a_terminal_that_becomes_too_small_says_so(scene: ScratchTreasury) -> None:
    with on_terminal(database(scene), home=scene.folder) as terminal:
        terminal.until_shown("q quit")
        terminal.resize(59, 15)
        terminal.until_shown("terminal too small (need 60x16)")
        terminal.resize(80, 24)
        terminal.until_shown("Pending transactions", "q quit")


def test_a_failure_nobody_foresaw_is_one_sentence_and_a_private_report(scene: ScratchTreasury) -> None:
    with on_terminal(database(scene), home=scene.folder, program=CRASHING) as terminal:
        terminal.until_shown("q quit")
        terminal.send(b"p")
        assert terminal.wait() == 70
        assert_restored(terminal)
        sentence = bytes(terminal.raw).rsplit(SHOW_CURSOR, 1)[1].decode()
        assert "error: an unexpected RuntimeError happened, a defect of this program; its report is in " in sentence
        assert b"hunter2" not in terminal.raw
    [report] = (scene.folder / "state" / "treasury-console").iterdir()
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    text = report.read_text(encoding="utf-8")
    assert "could not connect to postgresql://ops:***@db/treasury" in text
    assert "hunter2" not in text


def test_a_terminal_of_16_colours_gets_only_those(scene: ScratchTreasury) -> None:
    with on_terminal(database(scene), home=scene.folder, environment={"TERM": "xterm"}) as terminal:
        terminal.until_shown("q quit", "5 pending")
        assert b"38;2;" not in terminal.raw
        assert b"38;5;" not in terminal.raw
        assert b"48;5;" not in terminal.raw


def test_low_bandwidth_sends_less_and_no_mouse_is_asked_for(scene: ScratchTreasury) -> None:
    started, repainted = {}, {}
    for low in (False, True):
        options = ["--low-bandwidth"] if low else []
        with on_terminal([*database(scene), *options], home=scene.folder) as terminal:
            terminal.until_shown("q quit", "5 pending")
            terminal.until_quiet()
            started[low] = bytes(terminal.raw)
            terminal.send(b"?")
            terminal.until_shown("Keys, verdicts, states", "lines 1-21")
            terminal.until_quiet()
            repainted[low] = len(terminal.raw) - len(started[low])
    assert repainted[True] < repainted[False], repainted
    assert b"\x1b[?1003h" in started[False]
    assert b"\x1b[?1003h" not in started[True]


def test_a_terminal_that_is_dumb_is_refused(scene: ScratchTreasury) -> None:
    with on_terminal(database(scene), home=scene.folder, environment={"TERM": "dumb"}) as terminal:
        assert terminal.wait() == 2
        assert b"use treasury-cli instead" in terminal.raw
        assert b"\x1b" not in terminal.raw


@pytest.mark.parametrize("answer", [b"n\r", b"\r", b"\x04"], ids=["no", "nothing", "end of input"])
def test_initialising_is_offered_and_not_forced(tmp_path: Path, answer: bytes) -> None:
    file = tmp_path / "new" / "treasury.sqlite"
    with on_terminal(["--database", f"sqlite:///{file}"], home=tmp_path) as terminal:
        terminal.until_shown("Initialise now? [y/N]")
        terminal.send(answer)
        assert terminal.wait() == 2
        assert "error: database treasury has no file" in terminal.text
    assert not file.exists()


def test_a_treasury_that_was_initialised_on_the_spot_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "new" / "treasury.sqlite"
    with on_terminal(["--database", f"sqlite:///{file}"], home=tmp_path) as terminal:
        terminal.until_shown("Initialise now? [y/N]")
        terminal.send(b"y\r")
        terminal.until_shown("No transaction is pending.", "0 agents")
        terminal.send(b"q")
        assert terminal.wait() == 0


def test_read_only_never_offers_to_initialise(tmp_path: Path) -> None:
    file = tmp_path / "treasury.sqlite"
    with on_terminal(["--read-only", "--database", f"sqlite:///{file}"], home=tmp_path) as terminal:
        assert terminal.wait() == 2
        assert "has no file" in terminal.text
        assert "[y/N]" not in terminal.text


def test_a_newer_schema_is_refused_in_a_sentence(scene: ScratchTreasury) -> None:
    scene.execute("treasury", "UPDATE alembic_version SET version_num = '9999'")
    with on_terminal(database(scene), home=scene.folder) as terminal:
        assert terminal.wait() == 2
        assert "newer than" in terminal.text
        assert "[y/N]" not in terminal.text


def test_an_older_schema_is_offered_to_be_migrated(scene: ScratchTreasury) -> None:
    scene.execute("treasury", "UPDATE alembic_version SET version_num = '0000'")
    assert needs_initialising(scene.settings) == ["treasury"]
    with on_terminal(database(scene), home=scene.folder) as terminal:
        terminal.until_shown("older than", "Initialise now? [y/N]")
        terminal.send(b"n\r")
        assert terminal.wait() == 2


def test_the_demo_needs_nothing_and_names_its_directory_at_the_end(tmp_path: Path) -> None:
    with on_terminal(["--demo"], home=tmp_path, environment={"TMPDIR": str(tmp_path)}) as terminal:
        terminal.until_shown("STUCK", "DRIFT", "DEMO", "q quit")
        terminal.send(b"q")
        assert terminal.wait() == 0
        [directory] = tmp_path.glob("treasury-demo-*")
        said = bytes(terminal.raw).rsplit(SHOW_CURSOR, 1)[1].decode()
        assert f"The demo treasury stays in {directory}" in said
        assert f"treasury-cli --config {directory}/treasury.toml transactions list" in said
    assert os.path.isdir(directory)  # noqa: PTH112
