"""Which failures of a task are tried again."""

import pytest
from prefect.states import Failed

from components.errors import Unavailable, UserError
from flows.tasks import _worth_retrying, not_a_mistake


@pytest.mark.parametrize(
    ("error", "stage", "registry"),
    [
        (OSError("disk"), True, True),
        (UserError("a wrong setting"), False, False),
        (Unavailable("the database went away"), False, True),
        (ValueError("a bug"), False, True),
    ],
    ids=["disk", "mistake", "database", "bug"],
)
def test_what_may_mend_itself_is_tried_again_and_a_mistake_is_not(error, stage, registry):
    state = Failed(data=error)
    assert _worth_retrying(None, None, state) is stage
    assert not_a_mistake(None, None, state) is registry
