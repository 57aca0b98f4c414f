"""Metrics: the numbers of goals, mentorships, people, programs and organizations. It owns nothing: all of it is
folded from the event topics and can be folded again, to the same numbers."""
