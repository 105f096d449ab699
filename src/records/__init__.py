"""The sample domain: a table and its statements; functions that take a Connection. Replace with your own."""
