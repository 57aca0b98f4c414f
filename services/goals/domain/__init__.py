"""The rules of accountability, as pure functions: no clock, no I/O, no framework.

    progress      rule 1: what a check-in says about a goal, measured
    evidence      rules 1 and 2: check-ins as evidence, weighed by their own times
    goal          a goal's state, what can happen to it (`facts`), and how it changes it (`evolve`)
    verdict       rules 2 to 4: met, missed, taken back
    dispute       rule 5
    revision      rule 6: changes, easing, proposals
    pause         rule 7: what a pause, a resumption and an end do to goals
    outcome       rule 9: what owner and counterpart may say of a goal
    mentorship    a mentorship's state and life
    expectations  the agreement that mentor and mentee discuss first
    assess        whether a goal is SMART
    announce      what other services are told: the contract's events

Decisions take a state, a command and `now`, and answer the facts that follow; they raise `shared.errors.Refused`.
"""
