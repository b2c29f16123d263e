"""Running a script of acts in the world, holding every command and every resting point against the invariants."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from treasury_console.domain.errors import TreasuryError
from treasury_console.domain.money import MAX_MINOR_UNITS, Currencies
from treasury_console.domain.resolution import Action
from treasury_console.domain.transactions import Kind, Leg, Transaction
from treasury_console.ledger.audit_log import verify_chain
from treasury_console.ledger.transactions import find_transactions
from treasury_console.operations import force, payments
from treasury_console.operations.force import Approval, Resolution
from treasury_console.operations.payments import Receipt
from treasury_console.operations.transactions import inspect_transaction, list_transactions
from treasury_console.operations.treasury import Treasury
from treasury_console.operations.verification import verify_agents
from treasury_console.twophase.steps import Step

from . import checks
from .acts import CURRENCY, HOMES, Act, Befall, Fault, Operate, Pay, Payment, Script
from .expectation import loss_is_proven, permitted
from .invariants import Chronicle, violations
from .performance import Crash, Ending, Performance
from .state import AUDIT_TABLES, LEASE_TABLES, State
from .world import Moment, World

RECOVERY_ROUNDS = 3


@dataclass(frozen=True)
class Report:
    """The result of a script: what was violated, and the performances of its outermost commands."""

    violations: list[str]
    performances: list[Performance]


@dataclass(frozen=True)
class _FirstAct:
    """The world after the first act of a script, to begin the next script there if it begins alike."""

    act: Act
    moment: Moment
    chronicle: Chronicle
    violations: tuple[str, ...]
    performances: tuple[Performance, ...]
    commands: int


@dataclass
class _Running:
    """The command that runs now: `began` is the state when it last went on undisturbed."""

    act: Pay | Operate
    performance: Performance
    began: State
    calls: int = 0


class Runner:
    """Runs scripts, one after another, in one world. It is as deterministic as its scripts."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.steps_run = 0
        self._chronicle = Chronicle()
        self._violations: list[str] = []
        self._performances: list[Performance] = []
        self._commands = 0
        self._given: dict[Pay | Operate, None] = {}
        self._verified = False
        self._running: _Running | None = None
        self._first: _FirstAct | None = None
        world.network.on_answer = self._on_answer

    def run(self, script: Script) -> Report:
        """Run the script, recover, and check everything; stop at the first act that violates an invariant."""
        self._begin(script)
        for act in script.acts[1:]:
            if not self._violations:
                self._perform(act, self._performances)
        if not self._violations:
            self._end(script)
        return Report(self._violations, self._performances)

    def restart(self) -> None:
        """Forget what scripts had in common: the product is about to change."""
        self._first = None

    def _begin(self, script: Script) -> None:
        """Perform the first act; if the script before began with the same, return to the moment after it instead."""
        act, network = script.acts[0], self.world.network
        network.heal()
        network.calls = 0
        network.lost_requests, network.lost_replies = script.lost_requests, script.lost_replies
        self._given, self._verified = {}, False
        first = self._first
        if first is not None and first.act == act and not network.may_lose_more:
            self.world.return_to(first.moment)
            self._chronicle, self._commands = first.chronicle.copy(), first.commands
            self._violations, self._performances = list(first.violations), list(first.performances)
            self._give(act)
            return
        self._first = None
        self.world.return_to(self.world.morning)
        self._chronicle, self._commands, self._violations, self._performances = Chronicle(), 0, [], []
        self._note(self._chronicle.look(self.world.read()))
        self._perform(act, self._performances)
        if not (script.lost_requests or script.lost_replies or network.down):
            self._first = _FirstAct(
                act,
                self.world.remember(),
                self._chronicle.copy(),
                tuple(self._violations),
                tuple(self._performances),
                self._commands,
            )

    # performing acts

    def _perform(self, act: Act, performances: list[Performance]) -> None:
        if isinstance(act, Befall):
            self._befall(act)
            return
        performance = self._pay(act) if isinstance(act, Pay) else self._operate(act)
        performances.append(performance)
        self._give(act)
        self._note(violations(self.world.read(), self._chronicle, recovered=False))

    def _give(self, act: Act) -> None:
        """Remember the command, undisturbed, to give it again at the end."""
        if not isinstance(act, Befall):
            for nested in act.during:
                self._give(nested.act)
            self._given[_undisturbed(act)] = None

    def _command(
        self, actor: str, act: Pay | Operate, command: Callable[[Treasury], Receipt | Resolution]
    ) -> Performance:
        self._commands += 1
        performance = Performance(actor, Ending.DONE)
        running = _Running(act, performance, self.world.read())

        def on_step(_step: Step, _participant: str) -> None:
            performance.steps += 1
            self.steps_run += 1
            self._interrupt(running, performance.steps, at_call=False)
            if act.crash == performance.steps:
                raise Crash

        self._running = running
        try:
            performance.answer = command(self.world.treasury(actor, on_step))
        except Crash as crash:
            performance.ending, performance.error = Ending.CRASHED, crash
        except TreasuryError as error:
            performance.ending, performance.error = Ending.REFUSED, error
        except Exception as error:
            performance.ending, performance.error = Ending.BROKEN, error
            self._note([f"{actor} ended in {type(error).__name__}: {error}"])
        finally:
            self._running = None
        performance.stretches.append((running.began, self.world.read()))
        return performance

    def _interrupt(self, running: _Running, number: int, *, at_call: bool) -> None:
        """Stop the command for what is to happen in the middle of it."""
        for nested in running.act.during:
            if (nested.step, nested.at_call) == (number, at_call):
                running.performance.stretches.append((running.began, self.world.read()))
                self._running = None
                self._perform(nested.act, running.performance.nested)
                self._running = running
                running.began = self.world.read()

    def _on_answer(self) -> None:
        running = self._running
        if running is not None:
            running.calls += 1
            self._interrupt(running, running.calls, at_call=True)

    def _pay(self, act: Pay) -> Performance:
        payment = act.payment
        legs = self._drained(payment) if payment.drain else payment.legs
        agent, amount = legs[0]
        text = Currencies().format(abs(amount), CURRENCY)

        def command(treasury: Treasury) -> Receipt:
            match payment.kind:
                case Kind.DEPOSIT:
                    return payments.deposit(treasury, agent, text, CURRENCY, idempotency_key=payment.key)
                case Kind.WITHDRAWAL:
                    return payments.withdraw(treasury, agent, text, CURRENCY, idempotency_key=payment.key)
                case Kind.TRANSFER if len(legs) == 2:
                    receiver = legs[1][0]
                    return payments.transfer(treasury, agent, receiver, text, CURRENCY, idempotency_key=payment.key)
                case Kind.TRANSFER:
                    split = [Leg(*leg) for leg in legs]
                    return payments.split_transfer(treasury, split, CURRENCY, idempotency_key=payment.key)

        performance = self._command(f"coordinator-{self._commands}", act, command)
        self._note(checks.of_payment(act, performance, self._chronicle))
        return performance

    def _drained(self, payment: Payment) -> tuple[tuple[str, int], ...]:
        """Return the legs with the amount that the account allows now, or allowed when the payment was first made."""
        agent, amount = payment.legs[0]
        state = self.world.read()
        known = state.by_key(payment.key)
        if known is not None:
            return ((agent, state.branches[known][0]["amount"]),)
        account = state.accounts[agent, CURRENCY]
        return ((agent, MAX_MINOR_UNITS - account["balance"] if amount > 0 else account["held"] - account["balance"]),)

    def _operate(self, act: Operate) -> Performance:
        actor, network = f"operator-{self._commands}", self.world.network
        before = self.world.read()
        txn_id = before.by_key(act.key)
        if txn_id is None:
            return Performance(actor, Ending.SKIPPED, stretches=[(before, before)])
        approval = self._approval(act, txn_id)
        predictable = not (act.crash or act.during or network.may_lose_more)
        allowed = permitted(before, txn_id, act, now=self.world.microseconds, down=frozenset(network.down))
        foreseen = self._foresee(act, txn_id, approval) if predictable else None

        def command(treasury: Treasury) -> Resolution:
            if act.action is Action.RESUME:
                return force.resume(treasury, txn_id)
            return force.force(treasury, txn_id, act.action, approval)

        performance = self._command(actor, act, command)
        if predictable and performance.ending is not (Ending.DONE if allowed else Ending.REFUSED):
            ruling = "be done" if allowed else "be refused"
            went = f"{act.action.value} of {txn_id} was {performance.ending.value}"
            self._note([f"I12 {went} and should {ruling}: {performance.error}"])
        if foreseen is not None:
            self._note(checks.of_foresight(performance, foreseen, network.down))
        faulty = bool(network.lost_requests or network.lost_replies)
        self._note(checks.of_operator(act, txn_id, performance, faulty=faulty))
        if isinstance(performance.answer, Resolution):
            self._verified = performance.answer.verified is True
        return performance

    def _approval(self, act: Operate, txn_id: str) -> Approval:
        fingerprint = None
        if act.fingerprint:
            fingerprint = inspect_transaction(self.world.treasury("looker"), txn_id).fingerprint
        return Approval("INC-1", "INC-2" if act.fence_approval else None, act.acknowledge_log_lost, fingerprint)

    def _foresee(self, act: Operate, txn_id: str, approval: Approval) -> checks.Foresight:
        before, looker = self.world.read(), self.world.treasury("looker")
        try:
            if act.action is Action.RESUME:
                effects = inspect_transaction(looker, txn_id).effects[Action.RESUME]
                foreseen = checks.Foresight(effects=effects)
            else:
                resolution = force.predict_force(looker, txn_id, act.action, approval)
                foreseen = checks.Foresight(effects=resolution.effects, resolution=resolution)
        except TreasuryError as error:
            foreseen = checks.Foresight(error)
        if before.differences(self.world.read(), besides=frozenset()):
            self._note(["I10 a dry run wrote something"])
        return foreseen

    # faults

    def _befall(self, act: Befall) -> None:
        match act.fault:
            case Fault.CLOCK:
                self.world.now += timedelta(seconds=act.seconds)
            case Fault.DOWN if not self._loss_is_hidden():
                self.world.network.down.add(act.shard)
            case Fault.DOWN:
                pass
            case Fault.UP:
                self.world.network.down.discard(act.shard)
            case Fault.LOSE_LOG:
                self._lose_log(act.key)
            case Fault.FORGET:
                self._forget(act.key)

    def _lose_log(self, key: str) -> None:
        """Lose the decision, if a branch has ended: before that, nobody could tell it from one never made."""
        state = self.world.read()
        txn_id = state.by_key(key)
        if txn_id in state.decisions and any(txn_id == ended for ended, _ in state.outcomes):
            self.world.lose_decision(txn_id)
            self._chronicle.log_lost.add(txn_id)
            self._chronicle.decisions.pop(txn_id, None)
            if self._loss_is_hidden():
                self.world.network.heal()

    def _loss_is_hidden(self) -> bool:
        """Say whether a decision is lost and only the shards can tell: rules cannot cope with losing them as well."""
        state = self.world.read()
        lost = [txn_id for txn_id in self._chronicle.log_lost if txn_id not in state.decisions]
        return any(not loss_is_proven(state, txn_id) for txn_id in lost if txn_id in state.transactions)

    def _forget(self, key: str) -> None:
        """Forget the transaction, if it is finished (rule R8)."""
        state = self.world.read()
        txn_id = state.by_key(key)
        if txn_id is not None and state.transactions[txn_id]["finished_at"] is not None:
            self._chronicle.forgotten.add(txn_id)
            self.world.forget(txn_id)

    # recovery and the end

    def _end(self, script: Script) -> None:
        self.world.network.heal()
        self.world.outlive_leases()
        self._recover(script)
        state = self.world.read()
        self._note(violations(state, self._chronicle, recovered=True))
        auditor = self.world.treasury("auditor")
        if not self._verified and not verify_agents(auditor, list(HOMES)).ok:
            self._note(["I2 verify finds fault after recovery"])
        if not self._violations:
            self._give_again(state)
        with auditor.store.snapshot() as connection:
            chain = verify_chain(connection)
        if not chain.ok:
            self._note([f"I5 the audit chain is broken at {chain.bad_seq}: {chain.reason}"])
        if not self._violations:
            self._prepare_late(script)

    def _recover(self, script: Script) -> None:
        """Resume what is decided; then force the rest, as the rules allow."""
        rescuer = self.world.treasury("rescuer")
        for _ in range(RECOVERY_ROUNDS):
            for txn_id in force.resumable(rescuer):
                self._perform(Operate(Action.RESUME, self._key_of(txn_id)), self._performances)
            for txn_id in self._undecided(rescuer):
                choices = [Action.FORCE_ROLLBACK, Action.FORCE_COMMIT]
                if script.prefer_commit:
                    choices.reverse()
                verdicts = inspect_transaction(rescuer, txn_id).verdicts
                allowed = [choice for choice in choices if verdicts.of(choice).allowed]
                if allowed:
                    self._perform(Operate(allowed[0], self._key_of(txn_id)), self._performances)
            pending = list_transactions(rescuer)
            if not pending or self._violations:
                return
        for summary in pending:
            reasons = " ".join(summary.verdicts.force_rollback.reasons)
            self._note([f"I8 {summary.txn_id} is {summary.state.value} after {RECOVERY_ROUNDS} rounds: {reasons}"])

    def _undecided(self, rescuer: Treasury) -> list[str]:
        """Return what waits for a decision, or has lost the one it had."""
        decided = self.world.read().decisions
        found = {summary.txn_id for summary in list_transactions(rescuer)} | self._chronicle.log_lost
        return sorted(found - decided.keys())

    def _key_of(self, txn_id: str) -> str:
        return str(self.world.read().transactions[txn_id]["idempotency_key"])

    def _give_again(self, settled: State) -> None:
        """I7: every command that was ever given changes nothing when it is given again."""
        for act in list(self._given):
            if settled.by_key(act.payment.key if isinstance(act, Pay) else act.key) is None:
                continue
            self._perform(act, self._performances)
            changed = settled.differences(self.world.read(), besides=AUDIT_TABLES | LEASE_TABLES)
            if changed:
                self._note([f"I7 {act} changed {changed} when it was given again"])
            self._note(checks.of_repetition(act, settled, self._performances[-1]))

    def _prepare_late(self, script: Script) -> None:
        """R6: a PREPARE that arrives after everything, even after the records are forgotten, has no effect."""
        with self.world.treasury("looker").store.snapshot() as connection:
            records = find_transactions(connection, [txn_id for txn_id in self._chronicle.legs if self._is_new(txn_id)])
        if script.forget:
            for txn_id in records:
                self._forget(self._key_of(txn_id))
        before = self.world.read()
        for record in records.values():
            self._prepare_all(replace(record.transaction, epoch=1))
        changed = [table for table in before.differences(self.world.read()) if table.startswith("shard")]
        if changed:
            self._note([f"R6 a late PREPARE changed {changed}"])

    def _is_new(self, txn_id: str) -> bool:
        return self._key_of(txn_id) != "None"

    def _prepare_all(self, transaction: Transaction) -> None:
        for branch in transaction.branches:
            try:
                self.world.manager_at(branch.shard).prepare(transaction, branch)
            except TreasuryError as error:
                self._note([f"R6 a late PREPARE of {transaction.txn_id} ended in {error}"])

    def _note(self, problems: Iterable[str]) -> None:
        self._violations += [problem for problem in problems if problem not in self._violations]


def _undisturbed(act: Pay | Operate) -> Pay | Operate:
    if isinstance(act, Pay):
        return Pay(act.payment)
    return Operate(act.action, act.key)
