"""The dashboard: the numbers of programs and pairs as pages, rendered on the server.

It works without script; a script of its own adds what happens while one looks. `pages` are the routes, `program` and
`pair` shape answers for the templates, `words` is what it says, `session` who is signed in.
"""
