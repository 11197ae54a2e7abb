"""What computing costs and who pays it: prices, a double-entry ledger, vouchers, bills and settlements."""
