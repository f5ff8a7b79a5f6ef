"""Doors: the command line, reports in words, figures. They know everything; nothing knows them."""
