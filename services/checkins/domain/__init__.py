"""The rules of check-ins, pure: no clock, no I/O, no framework.

known        mentorships and goals, as far as checkins needs to know them, folded from their events
progress     what a check-in reports against a goal's measure (rule 1)
routing      who is asked for help
check_in     logging and acknowledging
privacy      for whom a check-in exists, who reads its private words, what erasing a person removes (rule 10)
cadence      when a check-in is expected, and when one has lapsed (rule 8)
watermark    up to when everything that was logged is published (rule 3)
form         the one-tap form's fields
"""
