"""The peer: the same route written the usual way, with boto3, create_engine and Powertools."""

import json
import os
import ssl
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel
from sqlalchemy import URL, create_engine, text

logger = Logger(service="usual")
metrics = Metrics(service="usual", namespace="Usual")
app = APIGatewayHttpResolver(enable_validation=True)

secret = json.loads(
    boto3.client("secretsmanager").get_secret_value(SecretId=os.environ["DB_SECRET_ID"])["SecretString"]
)
engine = create_engine(
    URL.create(
        "postgresql+pg8000",
        username=secret["username"],
        password=secret["password"],
        host=secret["host"],
        port=secret["port"],
        database=secret["dbname"],
    ),
    connect_args={"ssl_context": ssl.create_default_context(cafile=os.environ["DB_TLS_CA"])},
    pool_size=1,
    max_overflow=0,
    pool_pre_ping=True,
)


class Record(BaseModel):
    """What the API answers."""

    id: int
    name: str
    payload: dict[str, Any]
    version: int


@app.get("/records/<record_id>")
def get(record_id: int) -> Record:
    """Return a record."""
    with engine.begin() as connection:
        query = text("select id, name, payload, version from records where id = :id")
        row = connection.execute(query, {"id": record_id}).mappings().one()
    metrics.add_metric("Read", MetricUnit.Count, 1)
    return Record(**row)


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer."""
    return app.resolve(event, context)
