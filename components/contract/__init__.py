"""The data contract: table schemas, reading and writing of files, validation and quarantine."""
