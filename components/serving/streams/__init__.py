"""Kafka beside HTTP: what happened is read from topics, and what was served is published to one.

`StreamConsumer` stores events through the tracking of `POST /track`, and commits offsets after the write is durable.
`StreamPublisher` sends the messages that wait in the journal: the served log, and dead letters.
"""
