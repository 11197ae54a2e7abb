"""The SQL of the alarms domain. Every statement but one runs inside a tenant's transaction."""
