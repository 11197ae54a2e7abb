"""What became of what: events of lots, serials and operations (EPCIS 2.0), followed up and down."""
