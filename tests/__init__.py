"""The tests; a package, so that no other of this name, which some libraries install, is taken for it."""
