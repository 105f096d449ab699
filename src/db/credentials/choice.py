"""Who logs in, as the settings ask for it: a secret, an IAM role, or a URL."""

from db.credentials.api import ApiSource
from db.credentials.extension import ExtensionSource
from db.credentials.fixed import FixedCredentials
from db.credentials.iam import IamCredentials
from db.credentials.identity import Credentials
from db.credentials.secret import SecretCredentials
from db.credentials.sources import Source
from db.environment.process import aws_identity, extension
from db.errors import ConfigurationError
from db.settings import DatabaseSettings


def credentials_from(settings: DatabaseSettings) -> Credentials:
    """Return what the settings ask for; nothing is fetched yet."""
    if settings.url:
        return FixedCredentials.from_url(settings.url, settings.overrides())
    if settings.iam_user:
        return IamCredentials(settings.iam_user, settings.overrides(), aws_identity)
    if settings.secret_id:
        return SecretCredentials(
            settings.secret_id,
            _source(settings.secret_id),
            settings.overrides(),
            max_age_s=settings.secret_max_age_s,
            rotation_days=settings.secret_rotation_days,
        )
    raise ConfigurationError("nobody to log in as")


def _source(secret_id: str) -> Source:
    api = ApiSource(secret_id)
    beside = extension()
    return ExtensionSource(secret_id, beside, api) if beside else api
