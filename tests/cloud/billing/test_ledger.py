"""The ledger keeps its contract: whatever is asked of it in whatever order, it does what a ledger on paper would do."""

from __future__ import annotations

import json
import os
import random
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import Connection

from tests.cloud.billing.market import faults
from tests.cloud.conftest import Cluster

HISTORIES = int(os.environ.get("SUNMAO_HISTORIES", "400"))
KINDS = ("outside", "cash", "cash", "clearing")


@pytest.fixture(scope="module")
def cluster(embedded_cluster: Cluster) -> Cluster:
    return embedded_cluster


@dataclass
class Paper:
    """The same ledger on paper: balances and holds, without any regard to how the database does it."""

    may_owe: list[bool]
    there: list[int] = field(default_factory=lambda: [0] * 4)
    held: list[int] = field(default_factory=lambda: [0] * 4)
    made: dict[UUID, tuple[Any, ...]] = field(default_factory=dict)
    holds: dict[UUID, tuple[int, int, int]] = field(default_factory=dict)
    ended: set[UUID] = field(default_factory=set)

    def apply(self, wanted: list[dict[str, Any]]) -> bool:
        """Make all or nothing; True if all."""
        copy = Paper(self.may_owe, [*self.there], [*self.held], {**self.made}, {**self.holds}, {*self.ended})
        if not all(copy._one(each) for each in wanted):
            return False
        self.__dict__.update(copy.__dict__)
        return True

    def _one(self, each: dict[str, Any]) -> bool:
        content = (each["kind"], each["debit"], each["credit"], each["amount"], each["hold"])
        if each["hold"] is not None and each["hold"] not in self.holds:
            return False
        if each["id"] in self.made:
            if each["kind"] == "void":
                content = (*content[:3], self.made[each["id"]][3], *content[4:])
            return self.made[each["id"]] == content
        if each["hold"] is not None:
            debit, credit, amount = self.holds[each["hold"]]
            if each["hold"] in self.ended or (each["kind"] == "post" and each["amount"] > amount):
                return False
            self.ended.add(each["hold"])
            self.held[debit] -= amount
            if each["kind"] == "post":
                self.there[debit] -= each["amount"]
                self.there[credit] += each["amount"]
        else:
            debit, credit = each["debit"], each["credit"]
            if not self.may_owe[debit] and self.there[debit] - self.held[debit] < each["amount"]:
                return False
            if each["kind"] == "hold":
                self.held[debit] += each["amount"]
                self.holds[each["id"]] = (debit, credit, each["amount"])
            else:
                self.there[debit] -= each["amount"]
                self.there[credit] += each["amount"]
        self.made[each["id"]] = content
        return True


def asked(dice: random.Random, paper: Paper, earlier: list[dict[str, Any]]) -> dict[str, Any]:
    """Return something to ask of the ledger; now and then something asked before, or nearly so."""
    if earlier and dice.random() < 0.15:
        again = dict(dice.choice(earlier))
        if dice.random() < 0.3 and again["kind"] != "void":
            again["amount"] += 1
        return again
    blank = {"id": uuid4(), "debit": None, "credit": None, "hold": None, "amount": dice.randint(1, 60)}
    if paper.holds and dice.random() < 0.4:
        return blank | {"kind": dice.choice(["post", "void"]), "hold": dice.choice(list(paper.holds))}
    debit, credit = dice.sample(range(4), 2)
    if dice.random() < 0.3:
        debit, credit = 0, 1  # money has to come from somewhere
    return blank | {"kind": dice.choice(["single", "hold"]), "debit": debit, "credit": credit}


def told(each: dict[str, Any], accounts: list[UUID]) -> dict[str, Any]:
    """Return it in the ledger's words."""
    sides = {side: None if each[side] is None else str(accounts[each[side]]) for side in ("debit", "credit")}
    return (
        each | sides | {"id": str(each["id"]), "hold": each["hold"] and str(each["hold"]), "reason": "test", "ref": ""}
    )


def play(connection: Connection[Any], seed: int) -> None:
    dice, accounts = random.Random(seed), []
    for place, kind in enumerate(KINDS):
        row = connection.execute("SELECT open_account(NULL, %s, 'CNY', %s)", [kind, f"{seed}:{place}"]).fetchone()
        accounts.append(row[0] if row else UUID(int=0))
    paper, earlier = Paper([kind == "outside" for kind in KINDS]), list[dict[str, Any]]()
    for _ in range(dice.randint(5, 15)):
        wanted = [asked(dice, paper, earlier) for _ in range(dice.choice([1, 1, 1, 2, 4]))]
        expected = paper.apply(wanted)
        try:
            with connection.transaction():
                text = json.dumps([told(each, accounts) for each in wanted])
                connection.execute("SELECT transfer_all(%s::json)", [text])
            done = True
        except psycopg.Error as error:
            if error.sqlstate not in ("SM001", "SM002", "SM003"):
                raise
            done = False
        assert done == expected, (seed, wanted)
        earlier += wanted
    balances = connection.execute(
        "SELECT credits_posted - debits_posted, debits_pending FROM unnest(%s::uuid[]) WITH ORDINALITY AS w (id, place)"
        " JOIN ledger_account a USING (id) ORDER BY place",
        [accounts],
    ).fetchall()
    assert [row[0] for row in balances] == paper.there, seed
    assert [row[1] for row in balances] == paper.held, seed


@pytest.mark.timeout(900)
def test_whatever_is_asked_it_does_what_a_ledger_on_paper_does(owner_dsn: str) -> None:
    with psycopg.connect(owner_dsn) as connection:
        for seed in range(HISTORIES):
            play(connection, seed)
            connection.commit()
    assert faults(owner_dsn) == []


def test_what_is_changed_behind_its_back_is_found(owner_dsn: str) -> None:
    with psycopg.connect(owner_dsn) as connection:
        (source,) = connection.execute("SELECT open_account(NULL, 'outside', 'CNY', 'm')").fetchone() or ()
        (target,) = connection.execute("SELECT open_account(NULL, 'cash', 'CNY', 'm')").fetchone() or ()
        one = {"id": str(uuid4()), "kind": "single", "debit": str(source), "credit": str(target), "amount": 5}
        connection.execute("SELECT transfer_all(%s::json)", [json.dumps([one | {"reason": "test"}])])
        connection.execute("ALTER TABLE ledger_account NO FORCE ROW LEVEL SECURITY")
        connection.execute("UPDATE ledger_account SET credits_posted = 7 WHERE id = %s", [target])
        found = connection.execute("SELECT what FROM ledger_faults()").fetchall()
        assert {row[0] for row in found} == {"balance", "unit"}
        connection.rollback()


def test_neither_rows_nor_other_companies_accounts_are_in_reach_of_the_app(app_dsn: str) -> None:
    with psycopg.connect(app_dsn) as connection:
        assert connection.execute("SELECT count(*) FROM ledger_account").fetchone() == (0,)
        for statement in (
            "UPDATE ledger_account SET credits_posted = 0",
            "DELETE FROM ledger_transfer",
            "INSERT INTO market_operator (tenant_id) SELECT gen_random_uuid()",
            "SELECT appoint_market_operator(gen_random_uuid(), 0)",
            "SELECT * FROM ledger_faults()",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(statement)
