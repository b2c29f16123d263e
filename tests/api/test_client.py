"""A program opens the treasury and moves money through it, by the same operations that people use."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import treasury_console
from tests.treasuries import ALICE, BOB, CAROL, OPENING_BALANCE, ScratchTreasury
from treasury_console.api import TreasuryClient, open_treasury
from treasury_console.domain.errors import ConfigurationError, InsufficientFunds, TreasuryError
from treasury_console.domain.transactions import Leg, TransactionState

ROOT = Path(__file__).parents[2]


@pytest.fixture
def client(scratch: ScratchTreasury, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[TreasuryClient]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("TREASURY_CONFIG", "TREASURY_PROFILE", "TREASURY_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with open_treasury(database_url=scratch.settings.treasury_url) as opened:
        yield opened


def test_the_packages_own_name_opens_a_treasury() -> None:
    assert treasury_console.open_treasury is open_treasury


def test_a_name_the_package_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'open_bank'"):
        getattr(treasury_console, "open_bank")  # noqa: B009


def test_a_transfer_moves_money_once_per_key(scratch: ScratchTreasury, client: TreasuryClient) -> None:
    first = client.transfer(ALICE, BOB, "10.50", "USD", reference="invoice 7", idempotency_key="order-77")
    again = client.transfer(ALICE, BOB, "10.50", "USD", reference="invoice 7", idempotency_key="order-77")
    assert (first.state, first.amount, first.reference, first.replayed) == (
        TransactionState.COMMITTED,
        1050,
        "invoice 7",
        False,
    )
    assert (again.txn_id, again.replayed) == (first.txn_id, True)
    assert scratch.account(ALICE)[0] == OPENING_BALANCE - 1050


def test_deposit_withdraw_and_split_are_passed_on_with_reference_and_key(
    scratch: ScratchTreasury, client: TreasuryClient
) -> None:
    for _ in range(2):
        client.deposit(ALICE, "5.00", "USD", reference="in", idempotency_key="k1")
        client.withdraw(ALICE, "1.00", "USD", reference="out", idempotency_key="k2")
        client.split_transfer(
            [Leg(ALICE, -300), Leg(BOB, 100), Leg(CAROL, 200)], "USD", reference="split", idempotency_key="k3"
        )
    assert scratch.account(ALICE) == (OPENING_BALANCE + 500 - 100 - 300, 0, 4)
    references = "SELECT reference FROM transactions WHERE idempotency_key IS NOT NULL ORDER BY idempotency_key"
    assert scratch.query("treasury", references) == [("in",), ("out",), ("split",)]


def test_accounts_are_opened_shown_and_verified(client: TreasuryClient) -> None:
    client.open_accounts("agent_9", ["USD", "ETH"])
    assert [row.account.currency for row in client.accounts_of("agent_9")] == ["ETH", "USD"]
    assert client.verify([ALICE, "agent_9"]).ok


def test_every_failure_is_a_treasury_error_in_one_sentence(client: TreasuryClient) -> None:
    with pytest.raises(InsufficientFunds) as refused:
        client.transfer(ALICE, BOB, "1000.01", "USD")
    assert isinstance(refused.value, TreasuryError)
    assert str(refused.value).isprintable()


def test_a_client_may_be_used_from_several_threads(scratch: ScratchTreasury, client: TreasuryClient) -> None:
    start = threading.Barrier(3)
    failures: list[BaseException] = []

    def pay(sender: str, receiver: str) -> None:
        start.wait()
        try:
            for _ in range(5):
                client.transfer(sender, receiver, "1.00", "USD")
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=pay, args=pair) for pair in ((ALICE, BOB), (BOB, CAROL), (CAROL, ALICE))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert scratch.balances() == dict.fromkeys((ALICE, BOB, CAROL), OPENING_BALANCE)
    assert client.verify([ALICE, BOB, CAROL]).ok
    assert scratch.query("treasury", "SELECT count(*) FROM transactions WHERE finished_at IS NULL") == [(0,)]


def test_a_treasury_that_was_not_initialised_is_refused_and_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match="run treasury-cli init"):
        open_treasury(database_url=f"sqlite:///{tmp_path}/treasury.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_the_configuration_file_and_profile_are_passed_on(scratch: ScratchTreasury, tmp_path: Path) -> None:
    file = tmp_path / "treasury.toml"
    file.write_text(f'[profiles.night]\ntreasury = "{scratch.settings.treasury_url}"\nread_only = true\n')
    with open_treasury(file, profile="night") as client, pytest.raises(TreasuryError, match="read-only"):
        client.deposit(ALICE, "1.00", "USD")


def test_importing_the_package_imports_neither_textual_nor_pandas_nor_sqlalchemy() -> None:
    code = (
        "import sys, treasury_console;"
        "print([name for name in ('textual', 'pandas', 'sqlalchemy') if name in sys.modules]);"
        "treasury_console.open_treasury; print([name for name in ('textual', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"]
