"""The whole thing on one machine: PostgreSQL, Secrets Manager, the Lambda runtime, an HTTP gateway."""
