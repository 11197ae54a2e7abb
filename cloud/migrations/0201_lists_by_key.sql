-- Lists given in pages begin in these where their page does; see cloud/core/keyset.py.
CREATE INDEX ON equipment (tenant_id, name, id);
CREATE INDEX ON agent (tenant_id, name, id);
CREATE INDEX ON series (tenant_id, equipment_id, name, id) WHERE is_current;
CREATE INDEX ON user_account (tenant_id, email);
CREATE INDEX ON energy_meter (tenant_id, name, id);
CREATE INDEX ON access_token (tenant_id, user_id, id) WHERE kind = 'api';
