"""The neighbourhood of an answer: second variation, feedback gains, sensitivities; above the transcription alone."""
