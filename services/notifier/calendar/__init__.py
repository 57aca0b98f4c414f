"""A person's calendar: the deadlines of their goals, and the check-ins expected on them.

entries  what stands in it; pure
feed     how it is written: iCalendar (RFC 5545)
store    the goals of a person, as the notifier knows them
api      `/calendar/{token}.ics`
"""
