"""Where a list given in pages by key begins: before the first page stands a key that everything comes before.

So the first page and all others are one statement with one plan, which begins in the index where the page does. A
condition that is left out for the first page (`x IS NULL OR ...`) is checked row by row in a prepared statement's plan.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

LAST_ID = UUID(int=2**128 - 1)
LAST_NUMBER = 2**63 - 1
NEWEST = (datetime.max.replace(tzinfo=UTC), LAST_ID)
