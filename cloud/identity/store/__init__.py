"""The SQL of the identity domain: `people` and their credentials, the `plant` they work in, and `grants`, which say where.

All functions run inside `Database.tenant` but for the look-ups that precede a tenant.
"""
