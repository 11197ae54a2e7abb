-- The unified social credit code is a company's natural key: no two have the same. A company on trial has none yet.

CREATE UNIQUE INDEX tenant_credit_code ON tenant (credit_code);
