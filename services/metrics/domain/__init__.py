"""Pure rules of the numbers: what an event weighs, who stands behind a number, what is withheld.

No clock, no I/O, no framework. Read `numbers` for what is counted and how it is shown, `goal`, `diary` and
`mentorship` for what each event changes, `fold` for a batch of them, `answer` for an answer, `withheld` for what
it leaves out.
"""
