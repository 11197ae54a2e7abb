"""The database itself keeps tenants apart: proved from its catalogue, so that a new table cannot be forgotten."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

pytestmark = pytest.mark.both_databases

# Without row-level security, because TimescaleDB cannot have it there; reachable through telemetry's store only.
TELEMETRY = {"telemetry", "telemetry_text", "rollup_minute", "rollup_hour", "rollup_day", "rollup_state"}
# The migrations' own bookkeeping; the app role may read which are done and nothing else.
BOOKKEEPING = {"_yoyo_migration", "_yoyo_log", "_yoyo_version", "yoyo_lock"}


@pytest.fixture
def owner(owner_dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(owner_dsn) as connection:
        yield connection


@pytest.fixture
def app(app_dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(app_dsn, autocommit=True) as connection:
        yield connection


def test_every_table_forces_row_level_security_or_is_telemetry(owner: psycopg.Connection) -> None:
    tables = owner.execute(
        """
        SELECT relname, relrowsecurity AND relforcerowsecurity FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        """
    ).fetchall()
    assert {name for name, forced in tables if not forced} == TELEMETRY | BOOKKEEPING


def test_every_policy_of_the_app_role_names_the_tenant(owner: psycopg.Connection) -> None:
    policies = owner.execute(
        "SELECT tablename, policyname, roles, qual, with_check FROM pg_policies WHERE permissive = 'PERMISSIVE'"
    ).fetchall()
    for table, name, roles, qual, check in policies:
        if "sunmao_door" in roles:
            assert roles == ["sunmao_door"], (table, name)
            continue
        assert roles == ["sunmao_app"], (table, name)
        assert "current_tenant()" in qual, (table, name)
        assert "current_tenant()" in check, (table, name)


def test_every_table_is_limited_to_what_a_person_reaches(owner: psycopg.Connection) -> None:
    limited = owner.execute(
        """
        SELECT tablename, string_agg(cmd, ' ' ORDER BY cmd), bool_and(COALESCE(qual, with_check) LIKE '%reaches_all()%')
        FROM pg_policies WHERE permissive = 'RESTRICTIVE' AND roles = '{sunmao_app}' GROUP BY tablename
        """
    ).fetchall()
    assert {tuple(row[1:]) for row in limited} == {("DELETE INSERT SELECT UPDATE", True)}
    tables = owner.execute("SELECT tablename FROM pg_policies WHERE policyname = 'tenant_only'").fetchall()
    assert {row[0] for row in limited} == {row[0] for row in tables}
    # A table that says where its rows belong is limited by that, and is not readable by who reaches anything.
    placed = owner.execute(
        """
        SELECT DISTINCT p.tablename FROM pg_policies p JOIN pg_attribute a ON a.attrelid = p.tablename::regclass
        WHERE p.policyname = 'reach_select' AND a.attname IN ('equipment_id', 'line_id', 'site_id', 'agent_id')
          AND p.qual !~ 'reached_|seen_|current_person'
        """
    ).fetchall()
    assert placed == []


def test_the_app_role_has_no_power_of_its_own(app: psycopg.Connection) -> None:
    row = app.execute(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user"
    ).fetchone()
    assert row == (False, False, False, False)
    assert app.execute("SELECT count(*) FROM pg_class WHERE pg_has_role(relowner, 'MEMBER')").fetchone() == (0,)


def test_the_app_role_cannot_reach_chunks_or_partitions(owner: psycopg.Connection, app: psycopg.Connection) -> None:
    for statement in (
        "SELECT ensure_telemetry_partition(ts) FROM {}",
        "INSERT INTO telemetry SELECT 1, ts, 1, 0 FROM {}",
    ):
        months = "generate_series(now() - interval '3 months', now(), interval '1 month') AS months (ts)"
        owner.execute(statement.format(months))
    owner.commit()
    inner = owner.execute(
        """
        SELECT n.nspname, c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE i.inhparent = 'telemetry'::regclass
        """
    ).fetchall()
    assert inner
    for schema, name in inner:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, name)))
    assert app.execute("SELECT count(*) FROM telemetry").fetchone() == (4,), "the parent stays readable for the store"


def test_the_app_role_may_not_alter_what_protects(app: psycopg.Connection) -> None:
    for statement in (
        "ALTER TABLE tenant DISABLE ROW LEVEL SECURITY",
        "SELECT protect_tenant_table('tenant', 'SELECT')",
        "SELECT * FROM list_tenants()",
        "SET ROLE sunmao_door",
        "CREATE TABLE public.mine ()",
        "UPDATE audit SET act = 'nothing'",
        "DELETE FROM audit",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute(statement)


def test_functions_of_the_door_are_few_and_narrow(owner: psycopg.Connection) -> None:
    functions = owner.execute(
        """
        SELECT proname, pg_get_userbyid(proowner), proconfig FROM pg_proc
        WHERE prosecdef AND pronamespace = 'public'::regnamespace
        """
    ).fetchall()
    powerful = {name for name, role, _ in functions if role != "sunmao_door"}
    assert powerful == {"ensure_telemetry_partition", "take_telemetry", "drop_empty_telemetry"}
    assert all(config == ["search_path=public, pg_temp"] for _, _, config in functions)
