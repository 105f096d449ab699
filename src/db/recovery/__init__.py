"""What is done when a connection dies: repeated where nothing is committed, resolved where something may be."""
