"""The rules of nudging, as pure functions: no clock, no I/O, no framework.

rhythm      a person's own time: workdays, quiet hours, the daily message
moments     when a reminder's time comes, in its recipient's own time
kinds       the table of kinds
mentorship  what the notifier knows of a mentorship, folded from events
goal        what it knows of a goal, and when a check-in about it is expected
causes      what an event puts on whose agenda
person      a recipient and their agenda
reasons     why a reminder is not sent, in the contract's order
plan        what to do now about what is due to a person
"""
