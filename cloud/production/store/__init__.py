"""The SQL of the production domain. Every statement runs inside a tenant's transaction; row-level security does the rest."""
