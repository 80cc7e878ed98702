"""Why the platform cannot be started: each message is for the person at the terminal."""


class SettingsError(Exception):
    """The environment asks for something that cannot be."""


class StartError(Exception):
    """The platform, or one process of it, does not come up."""


class ChildDiedError(StartError):
    """A child ended while something was expected of it."""


class NotReadyError(StartError):
    """A child lives but does not become ready."""


class PortTakenError(StartError):
    """A port we need belongs to another program."""


class DatabaseError(StartError):
    """The database refuses what the platform needs of it."""
