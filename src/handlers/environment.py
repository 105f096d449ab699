"""What lives as long as the execution environment. The composition root, and the only module with import-time state.

Building all this opens no socket and calls no API; in Lambda, what the first invocation would wait for is begun beside
the imports (db.environment.lifecycle), and a function starts also while the database is away. Settings that cannot be
right end the start with ConfigurationError, which names the variable.
"""

import logging
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.typing import LambdaContext

from db import Database, DatabaseSettings, Work
from db.environment.lifecycle import Lifecycle
from db.environment.process import lambda_process, trace_header
from handlers.invocation import route_of, tags
from handlers.telemetry import Telemetry

SERVICE = "slotwise"
NAMESPACE = "Slotwise"

Event = dict[str, Any]
Answer = dict[str, Any]
Handler = Callable[[Event, LambdaContext], Answer]

# At DEBUG, which Lambda can give to every library, Powertools logs what it hands to a route: clients' values.
logging.getLogger("aws_lambda_powertools").setLevel(logging.INFO)
logger = Logger(service=SERVICE)
metrics = Metrics(service=SERVICE, namespace=NAMESPACE)
process = lambda_process()
telemetry = Telemetry(metrics, logger, process.function_name)
database = Database(DatabaseSettings.from_env(), observer=telemetry)
lifecycle = Lifecycle(database, process, at_end=telemetry.flush)
lifecycle.begin()


def entry_point(handler: Handler, rehearsals: Iterable[Work] = ()) -> Handler:
    """Make `handler` a Lambda function: logged, measured, and bounded by the time that the invocation has.

    INIT compiles the statements of `rehearsals`: it has the whole processor, an invocation its share.

    Lambda itself traces it (`Tracing: Active`), and the logger says the trace's id: X-Ray's SDK would add one
    subsegment around the handler, for fifty modules at each cold start. Who wants subsegments adds `aws-xray-sdk` to
    the dependencies, `tracer = Tracer(service=SERVICE)` above, and here `tracer.capture_lambda_handler(logged)`.
    """

    @wraps(handler)
    def invoke(event: Event, context: LambdaContext) -> Answer:
        telemetry.invoked(context.function_name, route_of(event))
        named = tags(context.aws_request_id, trace_header())
        with database.invocation(context.get_remaining_time_in_millis(), named):
            answer = handler(event, context)
            telemetry.show_plans(database)
            return answer

    measured: Handler = metrics.log_metrics(invoke)
    logged: Handler = logger.inject_lambda_context(measured, clear_state=True)
    lifecycle.ready(rehearsals)
    return logged
