"""What pg_stat_activity calls an execution environment: `function:version:environment`.

PostgreSQL cuts application_name after 63 bytes; each part has a share of them, so that every environment is told apart.
"""

import os

FUNCTION_CHARACTERS, VERSION_CHARACTERS, ENVIRONMENT_CHARACTERS = 40, 9, 12


def shown_function(name: str) -> str:
    """Return what is shown of a function's name."""
    return name[:FUNCTION_CHARACTERS]


def application_name(function: str, version: str, log_stream: str) -> str:
    """Return the name; `log_stream` is Lambda's, as `2026/11/22/[$LATEST]0123456789abcdef0123456789abcdef`.

    Its last part is one environment's; the first twelve digits find the stream. All of Lambda's names are ASCII.
    Where a version has no stream yet, as in a snapshot, the name ends in a colon: see `completed`.
    """
    environment = log_stream.rpartition("]")[2][:ENVIRONMENT_CHARACTERS]
    if not version:
        return shown_function(function)
    return ":".join((shown_function(function), version[:VERSION_CHARACTERS], environment))


def completed(name: str) -> str:
    """Return the name; where it ends in a colon, with digits behind that nobody else has, not a clone either."""
    return name + os.urandom(ENVIRONMENT_CHARACTERS // 2).hex() if name.endswith(":") else name
