-- Five roles, each with all the rights of the one before. Who administered a company owned it.

ALTER TABLE user_account NO FORCE ROW LEVEL SECURITY;
ALTER TABLE access_token NO FORCE ROW LEVEL SECURITY;
ALTER TABLE user_account DROP CONSTRAINT user_account_role_check;
UPDATE user_account SET role = 'owner' WHERE role = 'admin';
ALTER TABLE user_account
    ADD CONSTRAINT user_account_role_check CHECK (role IN ('viewer', 'operator', 'engineer', 'manager', 'owner'));
-- What "admin" alone opened until now.
UPDATE access_token SET scopes = scopes || ARRAY['operate', 'engineer'] WHERE 'admin' = ANY (scopes);
ALTER TABLE user_account FORCE ROW LEVEL SECURITY;
ALTER TABLE access_token FORCE ROW LEVEL SECURITY;
