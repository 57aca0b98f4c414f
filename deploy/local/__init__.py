"""Onbelay on one machine: Apache Kafka, MongoDB, a mail sink and the four services as child processes.

For trying out, developing and testing, without containers and without Java. `python -m deploy.local up` starts it
all; everything listens on 127.0.0.1 alone, and every child ends with its parent.
"""
