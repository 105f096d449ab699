"""The execution environment: what Lambda says of the process, and the turns of its life."""
