"""The rules of accountability and the Numbers once more: simply, slowly, and without a line of the services.

    instants        deadlines, days and workdays, by looking at every quarter of an hour
    steps           what people can do, and what the services say of it
    terms           what a goal asks for, and what eases it
    evidence        rules 1 and 2
    decisions       rules 2, 3, 4 and 7: what becomes of goals
    accountability  rules 5, 6, 7 and 9: what people may do; the model's front door
    cadence         rule 8: lapses
    numbers         what metrics has to answer
    histories       random steps that make sense now and then
    domain          the services' own pure rules, behind the same interface as the model
    pair            both side by side: every answer, event, state and number has to be the same
    machine         Hypothesis drives a pair; `seeded` does by a number
    live            the services as they run, behind the model's steps

`tests/integration/test_model.py` compares the model with the services as they run.
"""
