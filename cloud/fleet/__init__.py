"""Fleet: edge agents, the codes that enrol them, and the equipment they look after."""
