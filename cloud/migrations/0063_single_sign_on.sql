-- What a log-in provider calls a user: its issuer and the subject there, bound at the first log-in that way.

ALTER TABLE user_account ADD COLUMN oidc_subject text UNIQUE;
