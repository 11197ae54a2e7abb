"""The SQL of the telemetry domain, and the only way to telemetry: every statement joins the tenant's own series.

All functions run inside `Database.tenant`: `ingest` writes, `rollups` condenses, `query` reads.
"""
