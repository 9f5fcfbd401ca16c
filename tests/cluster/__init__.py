"""A real cluster of one node, made on the spot, and what it has to prove: `make test-cluster`."""
