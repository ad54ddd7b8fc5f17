"""How fast mlteam is: `make bench`, or `python -m bench [name …]`. Measurements, never tests: nothing here passes or fails."""
