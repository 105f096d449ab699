"""The session with the server: messages, flights, transactions. The only package that knows pg8000's internals."""
