"""Everything two parties must agree on: values, drivers, dictionary, devices, and the edge-cloud messages."""
