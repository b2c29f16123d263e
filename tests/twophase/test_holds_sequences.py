"""Any sequence of prepares, commits and rollbacks, in any order and repeated, against a model of what it means."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.treasuries import ALICE, CAROL, ScratchTreasury, a_transaction, scratch_copy
from treasury_console.domain.money import MAX_MINOR_UNITS
from treasury_console.domain.transactions import Branch, BranchState, Transaction, Vote

AGENTS = (ALICE, CAROL)
TXNS = tuple(f"txn_{number}" for number in range(8))
ROOM = MAX_MINOR_UNITS - 100_000

amounts = st.sampled_from([-1, -40_000, -60_000, -100_000, 1, 25_000, ROOM // 2, ROOM])


class Branches(RuleBasedStateMachine):
    """One shard with two accounts; the model knows each branch's amount and state."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.scratch: ScratchTreasury = self.stack.enter_context(scratch_copy(self.template))
        self.manager = self.scratch.open().shards["shard-1"].manager
        self.amounts: dict[tuple[str, str], int] = {}
        self.states: dict[tuple[str, str], BranchState] = {}
        self.balances = dict.fromkeys(AGENTS, 100_000)
        self.versions = dict.fromkeys(AGENTS, 1)

    def teardown(self) -> None:
        self.stack.close()

    def branch(self, txn_id: str, agent_id: str, amount: int = -1) -> tuple[Transaction, Branch]:
        branch = Branch(agent_id, "shard-1", self.amounts.get((txn_id, agent_id), amount))
        return a_transaction(branch, txn_id=txn_id), branch

    def in_state(self, agent_id: str, state: BranchState) -> list[int]:
        return [amount for key, amount in self.amounts.items() if key[1] == agent_id and self.states.get(key) is state]

    def can_prepare(self, agent_id: str, amount: int) -> bool:
        prepared = self.in_state(agent_id, BranchState.PREPARED)
        if amount < 0:
            return self.balances[agent_id] + sum(held for held in prepared if held < 0) >= -amount
        return self.balances[agent_id] + sum(credit for credit in prepared if credit > 0) + amount <= MAX_MINOR_UNITS

    @rule(txn_id=st.sampled_from(TXNS), agent_id=st.sampled_from(AGENTS), amount=amounts)
    def prepare(self, txn_id: str, agent_id: str, amount: int) -> None:
        key = txn_id, agent_id
        state = self.states.get(key)
        transaction, branch = self.branch(txn_id, agent_id, amount)
        vote = self.manager.prepare(transaction, branch).vote
        if state is None:
            assert vote is (Vote.YES if self.can_prepare(agent_id, amount) else Vote.NO)
            if vote is Vote.YES:
                self.amounts[key], self.states[key] = amount, BranchState.PREPARED
        else:
            assert vote is (Vote.NO if state is BranchState.ROLLED_BACK else Vote.YES)

    @rule(txn_id=st.sampled_from(TXNS), agent_id=st.sampled_from(AGENTS))
    def commit(self, txn_id: str, agent_id: str) -> None:
        key = txn_id, agent_id
        state = self.states.get(key)
        ended = self.manager.commit(*self.branch(txn_id, agent_id))
        if state is BranchState.PREPARED:
            assert ended is BranchState.COMMITTED
            self.states[key] = BranchState.COMMITTED
            self.balances[agent_id] += self.amounts[key]
            self.versions[agent_id] += 1
        else:
            assert ended is (state or BranchState.ACTIVE)

    @rule(txn_id=st.sampled_from(TXNS), agent_id=st.sampled_from(AGENTS))
    def rollback(self, txn_id: str, agent_id: str) -> None:
        key = txn_id, agent_id
        ended = self.manager.rollback(*self.branch(txn_id, agent_id))
        if self.states.get(key) is BranchState.COMMITTED:
            assert ended is BranchState.COMMITTED
        else:
            assert ended is BranchState.ROLLED_BACK
            self.states[key] = BranchState.ROLLED_BACK

    @precondition(lambda self: self.states)
    @rule()
    def another_process_takes_over(self) -> None:
        for handle in self.scratch.handles:
            handle.close()
        self.manager = self.scratch.open().shards["shard-1"].manager

    @invariant()
    def accounts_are_what_the_branches_add_up_to(self) -> None:
        for agent_id in AGENTS:
            held = -sum(amount for amount in self.in_state(agent_id, BranchState.PREPARED) if amount < 0)
            assert self.scratch.account(agent_id) == (self.balances[agent_id], held, self.versions[agent_id])
            query = "SELECT sum(amount), count(*), max(version) FROM entries WHERE agent_id = ?"
            [[total, count, newest]] = self.scratch.query("shard-1", query, agent_id)
            assert (total, count, newest) == (
                self.balances[agent_id],
                self.versions[agent_id],
                self.versions[agent_id],
            )
            holds = "SELECT coalesce(sum(-amount), 0) FROM holds WHERE participant = ? AND amount < 0"
            assert self.scratch.query("shard-1", holds, agent_id) == [(held,)]

    @invariant()
    def every_branch_is_seen_in_the_state_it_is_in(self) -> None:
        seen = {key: sighting.state for key, sighting in self.manager.sightings(TXNS).items()}
        assert seen == self.states


def test_whatever_the_order_held_and_balance_are_what_the_branches_say(funded_template: Path) -> None:
    machine = type("Branches", (Branches,), {"template": funded_template})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=20, stateful_step_count=25, deadline=None, derandomize=True)
    )
