"""Deliberate breaks of the rules, each of which makes a test fail.

`python -m tests.mutation` makes each break in a copy of the tree, and runs the tests that have to notice;
`test_breaks` sees to it that all of them still apply.
"""
