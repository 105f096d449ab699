"""What a cold start costs, out of what `sam build` makes: against its plain artefact, and against the usual handler."""
