"""The two database roles of the cloud. Migrations run as the database's owner, who is neither."""

from __future__ import annotations

APP_ROLE = "sunmao_app"
"""Serves requests. Neither superuser nor owner nor BYPASSRLS: row-level security binds it."""

DOOR_ROLE = "sunmao_door"
"""Owns the few SECURITY DEFINER functions that must look before a tenant is known. It cannot log in."""
