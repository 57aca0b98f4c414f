"""Check-ins: what participants report, who may read it, who is asked for help, and what did not come."""
