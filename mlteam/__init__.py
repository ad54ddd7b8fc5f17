"""The installation: settings, addresses, the processes that make it up."""
