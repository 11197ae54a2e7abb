"""Where a list given in pages by key begins: before the first page stands a key that everything comes before.

So the first page and all others are one statement with one plan, which begins in the index where the page does. A
condition that is left out for the first page (`x IS NULL OR ...`) is checked row by row in a prepared statement's plan.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

Key = tuple[str | int | UUID, ...]
"""Values of the columns a list is ordered by."""

FIRST_ID = UUID(int=0)
LAST_ID = UUID(int=2**128 - 1)
LAST_NUMBER = 2**63 - 1
NEWEST = (datetime.max.replace(tzinfo=UTC), LAST_ID)

BY_NAME: Key = ("", FIRST_ID)
BY_EQUIPMENT: Key = (FIRST_ID, "", 0)
BY_ID_NEWEST: Key = (LAST_ID,)
BY_NUMBER_NEWEST: Key = (2**31 - 1,)


class Window(NamedTuple):
    """Which rows of a list are wanted: at most `limit`, those behind `after` in its order; all without both."""

    after: Key | None = None
    limit: int | None = None


WHOLE = Window()
LATEST = Window(limit=100)
