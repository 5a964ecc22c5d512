"""A source of rows for `adloom data pull`: topics of a Kafka cluster, landed in files before they are pulled."""
