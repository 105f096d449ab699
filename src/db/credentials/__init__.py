"""Who logs in: a secret that rotates, an IAM role, or a URL."""
