"""Which database the daemon serves from: its own embedded one, or the one that the settings name."""

from billing_core.storage.embedded import EmbeddedServer
from radiusd.config import Config


def embedded_server(settings: Config) -> EmbeddedServer | None:
    """Return the embedded server of *settings*, None when they name another."""
    return (
        EmbeddedServer(settings.database.directory, user=settings.user)
        if settings.database.url is None
        else None
    )


def serving_url(settings: Config) -> str:
    """Return the URL by which turns connect."""
    if settings.database.url is None:
        return EmbeddedServer(settings.database.directory).serving_url()
    return settings.database.url.render_as_string(hide_password=False)


def owner_url(settings: Config) -> str | None:
    """Return the URL by which the schema is brought up to date, None when that is the serving one."""
    if settings.database.url is None:
        return EmbeddedServer(settings.database.directory).url()
    owner = settings.database.owner_url
    return owner.render_as_string(hide_password=False) if owner else None


def database_name(settings: Config) -> str:
    """Return the database as people may see it, without its password."""
    if settings.database.url is None:
        return f"embedded in {EmbeddedServer(settings.database.directory).files.directory}"
    return settings.database.url.render_as_string(hide_password=True)
