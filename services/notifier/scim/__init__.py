"""SCIM 2.0: an identity provider provides recipients (RFC 7643, RFC 7644).

model    what a user is here, and what the service says of itself
mapping  from a user to a recipient; pure
ages     when each part of a user was provided; pure
store    users in MongoDB
users    the use cases
api      `/scim/v2`
"""
