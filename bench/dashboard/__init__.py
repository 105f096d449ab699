"""The stack's dashboard, drawn from a run on this machine: what an operator sees when slots run out."""
