"""The rules of accountability and the Numbers once more: simply, slowly, and without a line of the services.

    instants        deadlines, days and workdays, by looking at every quarter of an hour
    steps           what people can do, and what the services say of it
    accountability  rules 1 to 7 and 9: one mentorship and its goals
    cadence         rule 8: lapses
    numbers         what metrics has to answer
    histories       random steps that make sense now and then
    domain          the services' own pure rules, behind the same interface as the model
    test_histories  Hypothesis drives both, and compares every answer, event, state and number

`tests/integration/test_model.py` compares the model with the services as they run.
"""
