-- A box whose disk was copied: two run with one key. Either has a start of its own, and only two at once say them by turns.
ALTER TABLE agent
    ADD COLUMN started_before text,
    ADD COLUMN copied_at timestamptz;
