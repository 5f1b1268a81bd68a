"""How an actor goes on from its files, exactly where it was."""
