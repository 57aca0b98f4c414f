"""The HTTP routes of the goals service: parse, call, answer."""
