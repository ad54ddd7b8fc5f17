"""Teams: users and teams under one name, so that one membership of a project serves them all."""
