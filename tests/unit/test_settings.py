"""What the environment may say, and what is answered where it is wrong."""

from typing import Any

import pytest

from db import ConfigurationError, DatabaseSettings, Tls

SECRET = {"DB_SECRET_ID": "app"}


def test_defaults_are_safe() -> None:
    """Nothing but the secret's name is needed, and TLS is verified."""
    settings = DatabaseSettings.from_env(SECRET)
    assert (settings.secret_id, settings.pool_size, settings.tls) == ("app", 1, Tls.VERIFY_FULL)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "exactly one of DB_SECRET_ID, DATABASE_URL, DB_IAM_USER says who logs in; set: none"),
        ({**SECRET, "DATABASE_URL": "postgres://u:hidden@h/d"}, "set: DB_SECRET_ID, DATABASE_URL"),
        ({"DB_IAM_USER": "app"}, "DB_IAM_USER needs DB_HOST and DB_TLS=verify-full"),
        (
            {"DB_IAM_USER": "app", "DB_HOST": "h", "DB_TLS": "insecure-local-only"},
            "DB_IAM_USER needs DB_HOST and DB_TLS",
        ),
        ({**SECRET, "DB_POOL_SIZE": "many"}, "DB_POOL_SIZE must be a whole number from 0 to 10"),
        ({**SECRET, "DB_POOL_SIZE": "11"}, "DB_POOL_SIZE must be a whole number from 0 to 10"),
        ({**SECRET, "DB_POOL_SIZE": "1.5"}, "DB_POOL_SIZE must be a whole number from 0 to 10"),
        ({**SECRET, "DB_PORT": "0"}, "DB_PORT must be a whole number from 1 to 65535"),
        ({**SECRET, "DB_FLEET_ENVIRONMENTS": "20+"}, "DB_FLEET_ENVIRONMENTS must be .* or a sum such as 20\\+5"),
        ({**SECRET, "DB_FLEET_ENVIRONMENTS": "0+0"}, "DB_FLEET_ENVIRONMENTS must be a whole number from 1 to 1000000"),
        ({**SECRET, "DB_CONNECT_TIMEOUT_S": "nan"}, "DB_CONNECT_TIMEOUT_S must be a number from 0.1 to 60"),
        ({**SECRET, "DB_TLS": "prefer"}, "DB_TLS must be verify-full or insecure-local-only"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(environ: dict[str, str], message: str) -> None:
    """The error names the variable and its limits, and never a value that may be secret."""
    with pytest.raises(ConfigurationError, match=message) as raised:
        DatabaseSettings.from_env(environ)
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize(
    ("field", "variable"),
    [
        ("iam_user", "DB_IAM_USER"),
        ("host", "DB_HOST"),
        ("name", "DB_NAME"),
        ("search_path", "DB_SEARCH_PATH"),
        ("application_name", "DB_APPLICATION_NAME"),
    ],
)
def test_what_begins_a_session_has_no_nul(field: str, variable: str) -> None:
    """The server would read what is behind it as a parameter that nobody has set."""
    given: dict[str, Any] = {"host": "h", **({} if field == "iam_user" else {"secret_id": "app"}), field: "x\0options"}
    with pytest.raises(ConfigurationError, match=f"^{variable} has a NUL"):
        DatabaseSettings(**given)


@pytest.mark.parametrize(("text", "pool_size", "most"), [("", "1", None), ("20+5", "1", 25), ("25", "2", 50)])
def test_the_fleets_size_may_be_a_sum(text: str, pool_size: str, most: int | None) -> None:
    """CloudFormation can write a sum but not add it; each environment keeps as many connections as its pool has."""
    environ = {**SECRET, "DB_FLEET_ENVIRONMENTS": text, "DB_POOL_SIZE": pool_size}
    assert DatabaseSettings.from_env(environ).most_connections == most


def test_an_empty_variable_is_an_unset_one() -> None:
    """CloudFormation writes an absent parameter as an empty string."""
    assert DatabaseSettings.from_env({**SECRET, "DB_HOST": "", "DB_POOL_SIZE": ""}).pool_size == 1


@pytest.mark.parametrize(
    "mark", [{"AWS_EXECUTION_ENV": "AWS_Lambda_python3.13"}, {"AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand"}]
)
@pytest.mark.parametrize("more", [{}, {"AWS_SAM_LOCAL": "true"}, {"DB_HOST": "localhost"}])
def test_lambda_refuses_unverified_tls(mark: dict[str, str], more: dict[str, str]) -> None:
    """The local switch does not work where it would matter, whatever a function's own variables say."""
    with pytest.raises(ConfigurationError, match="in Lambda it must be verify-full"):
        DatabaseSettings.from_env({**SECRET, **mark, **more, "DB_TLS": "insecure-local-only"})


def test_lambda_refuses_unverified_tls_however_settings_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where code makes them, and asks no variable."""
    monkeypatch.setenv("AWS_EXECUTION_ENV", "AWS_Lambda_python3.13")
    with pytest.raises(ConfigurationError, match="in Lambda it must be verify-full"):
        DatabaseSettings(secret_id="app", tls=Tls.INSECURE_LOCAL_ONLY)
    assert DatabaseSettings(secret_id="app").tls is Tls.VERIFY_FULL


def test_the_application_name_says_function_version_and_environment() -> None:
    """pg_stat_activity tells whose connection it is, and in which log stream its story is."""
    environ = {
        "AWS_LAMBDA_FUNCTION_NAME": "api",
        "AWS_LAMBDA_FUNCTION_VERSION": "7",
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/22/[7]0123456789abcdef0123456789abcdef",
    }
    assert DatabaseSettings.from_env({**SECRET, **environ}).application_name == "api:7:0123456789ab"


def test_repr_shows_settings_and_no_secret() -> None:
    """A logged settings object gives nothing away."""
    shown = repr(DatabaseSettings(url="postgres://u:hidden@h/d", pool_size=0))
    assert "pool_size=0" in shown
    assert "hidden" not in shown
