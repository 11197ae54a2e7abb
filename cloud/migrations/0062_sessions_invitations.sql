-- A session can be made to end sooner, as when another takes its place; an invitation may let somebody into places only.

GRANT UPDATE (expires_at) ON access_token TO sunmao_app;

ALTER TABLE invitation
    DROP CONSTRAINT invitation_role_check,
    ADD CONSTRAINT invitation_role_check CHECK (role IN ('none', 'viewer', 'operator', 'engineer', 'manager', 'owner')),
    ADD COLUMN grants jsonb NOT NULL DEFAULT '[]';
COMMENT ON COLUMN invitation.grants IS 'Ids of places, with the roles there, that who joins is granted';
