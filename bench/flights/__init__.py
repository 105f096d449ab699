"""How many network round trips each piece of work costs, ours and its peers', counted by a proxy in one run."""
