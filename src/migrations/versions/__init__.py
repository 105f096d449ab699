"""One step a file, each with the way back; a step that has been deployed is never edited."""
