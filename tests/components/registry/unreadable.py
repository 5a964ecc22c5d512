"""The one message about a champion that cannot be read."""

import re


def cannot_be_read(name: str, dataset: str = "shop") -> str:
    """The pattern of the message about champion `name` of `dataset`: what it is, why, and the way out."""
    way_out = f"`adloom run {dataset}` makes a new one"
    if "-policy" in name:
        way_out = rf"Either go back to an earlier champion \(`adloom rollback {dataset}`\), or run with the commit"
    return (
        rf"^{re.escape(name)}, was registered by an earlier release, and this one cannot read it \(.+\)\. "
        rf"Nothing was registered or moved\. {way_out}"
    )
