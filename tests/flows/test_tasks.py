"""Which failures of a task are tried again."""

import pytest
from prefect.states import Failed

from components.settings.errors import Unavailable, UserError
from flows.tasks import _worth_retrying, artifact_key, not_a_mistake


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


NAMES = ["my_shop", "my-shop", "my__shop", "shop", "softmax-1.0a", "店", "intervals-table-name.0123"]


def test_every_page_has_a_key_that_prefect_takes_and_no_other_page_has():
    from prefect.client.schemas.actions import ArtifactCreate

    keys = [artifact_key(name, "decision") for name in NAMES]
    assert len(set(keys)) == len(NAMES)
    for key in keys:
        assert ArtifactCreate(key=key).key == key
    assert artifact_key("my-shop", "decision") == "my-shop-decision"
