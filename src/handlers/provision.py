"""The Lambda function that provisions the database: CloudFormation's custom resource, or invoked by hand.

By hand: `{"Action": "provision" | "doctor", "Plan": {...}}`, answered with a report; the Plan is the template's.
What may fail, settings included, is imported where a failure is answered, and not before.
"""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.utilities.data_classes import CloudFormationCustomResourceEvent
from aws_lambda_powertools.utilities.typing import LambdaContext

from provision.custom_resource import ANSWER_S, Data, serve

RESERVE_MS = 1000 * (ANSWER_S + 2)
"""Kept back from the database, so that nothing is committed after it was said that it was not."""
LEFT_ALONE = "nothing was deleted: database, schema, role and data are left as they are"


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer CloudFormation where it is CloudFormation that asks, and return nothing; else return a report."""
    remaining_ms = context.get_remaining_time_in_millis()
    if "ResponseURL" in event:
        asked = CloudFormationCustomResourceEvent(event)
        serve(asked, remaining_ms, lambda: _resource(asked, remaining_ms - RESERVE_MS), _reason)
        return {}
    try:
        return _by_hand(event, remaining_ms - RESERVE_MS)
    except Exception as error:  # noqa: BLE001 - the outermost edge: who asks by hand reads what is wrong
        return {"status": "failed", "reason": _reason(error)}


def _resource(event: CloudFormationCustomResourceEvent, remaining_ms: float) -> Data:
    if event.request_type == "Delete":
        return {"Report": LEFT_ALONE}
    from pydantic.alias_generators import to_pascal  # noqa: PLC0415 - as below

    report = _provision(event.resource_properties.get("Plan"), remaining_ms)
    return {to_pascal(name): report[name] or "" for name in ("role", "revision", "connection_limit", "budget")}


def _by_hand(event: dict[str, Any], remaining_ms: float) -> dict[str, Any]:
    actions = {"provision": _provision, "doctor": _examine}
    action = actions.get(event.get("Action", "provision"))
    if action is None:
        return {"status": "failed", "reason": f"Action must be one of {', '.join(actions)}"}
    return action(event.get("Plan"), remaining_ms)


def _provision(given: object, remaining_ms: float) -> dict[str, Any]:
    from handlers.environment import database, logger  # noqa: PLC0415 - wrong settings must be answered too
    from provision.plan import read_plan  # noqa: PLC0415 - as above
    from provision.provisioning import provision  # noqa: PLC0415 - as above

    report = {"status": "ok", **provision(database.settings, read_plan(given), remaining_ms).as_json()}
    logger.info("provisioned", extra={"report": report})
    return report


def _examine(given: object, remaining_ms: float) -> dict[str, Any]:
    from handlers.environment import database, logger  # noqa: PLC0415 - wrong settings must be answered too
    from provision.accounts import application_settings  # noqa: PLC0415 - as above
    from provision.doctor import examine  # noqa: PLC0415 - as above
    from provision.findings import worst  # noqa: PLC0415 - as above
    from provision.plan import read_plan  # noqa: PLC0415 - as above

    plan = read_plan(given)
    findings = examine(application_settings(database.settings, plan), plan, remaining_ms)
    report = {"status": worst(findings), "findings": [asdict(finding) for finding in findings]}
    logger.info("examined", extra={"report": report})
    return report


def _reason(error: Exception) -> str:
    """Log the error, and return what may be said of it."""
    from aws_lambda_powertools import Logger  # noqa: PLC0415 - as above

    from handlers.problems import record_of  # noqa: PLC0415 - as above
    from provision.errors import reason_for  # noqa: PLC0415 - as above

    reason = reason_for(error)
    Logger(service="slotwise").error("not provisioned", extra={**record_of(error), "said": reason})
    return reason
