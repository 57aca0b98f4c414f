"""Webhooks: events posted to other systems, by Standard Webhooks (https://www.standardwebhooks.com).

rules      what is delivered, when again, when no more; pure
signature  how a delivery is signed; pure
outbound   a POST to an address that was checked, and to no other
store      endpoints and deliveries in MongoDB
fold       events to deliveries
worker     deliveries to endpoints
notice     the mail about an endpoint that was switched off
manage     the use cases of `/v1/webhooks`
shapes     what clients send
shown      what they are told
api        the routes
"""
