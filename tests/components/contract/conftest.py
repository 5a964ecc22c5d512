"""Great Expectations takes a second for the eight tables of `sample`, of which most tests change one."""

import hashlib
import pickle

import pytest

from components.contract.validation import findings


@pytest.fixture(scope="session")
def earlier_checks() -> dict:
    """Digest of a table, its rules and the log's end -> their outcomes."""
    return {}


@pytest.fixture
def equal_tables_checked_once(earlier_checks, monkeypatch):
    """Rules are checked once on equal tables, byte for byte; a table that a test changes is always checked."""
    check_rules = findings.check_rules

    def checked(*table_rules_end):
        digest = hashlib.sha256(pickle.dumps(table_rules_end)).digest()
        if digest not in earlier_checks:
            earlier_checks[digest] = check_rules(*table_rules_end)
        return earlier_checks[digest]

    monkeypatch.setattr(findings, "check_rules", checked)
