"""Settings whose kinds are registered and whose kinds' own settings are right: checked before a run begins.

`load_settings` cannot tell, for the kinds stand in packages above `settings`.
"""

from collections.abc import Mapping

from components.interest.model_kinds import KINDS, kind_of
from components.settings.errors import UserError
from components.settings.sections import KindsSection, Section, Settings, kind_settings


def checked(settings: Settings) -> Settings:
    """`settings` with the own settings of every kind typed and complete, so that equal ones have equal digests.

    UserError names a kind that is not registered, or a setting that its kind does not know.
    """
    for name in settings.interest.models:
        kind_of(name)
    interest = _typed(settings.interest, "interest", {name: kind.settings for name, kind in KINDS.items()})
    return settings.model_copy(update={"interest": interest})


def _typed(section: KindsSection, place: str, kinds: Mapping[str, type[Section]]) -> KindsSection:
    """`section`, which stands at `place`, with the sub-section of every kind."""
    for name in section.model_extra:
        if name not in kinds:
            raise UserError(f"{place}.{name}: no kind of this name is registered; there are {', '.join(kinds)}")
    typed = {name: kind_settings(section, place, name, expected) for name, expected in kinds.items()}
    return section.model_copy(update=typed)
