"""The SQL of the energy domain. All functions run inside `Database.tenant`; row-level security does the rest."""
