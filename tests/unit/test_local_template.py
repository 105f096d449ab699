"""template.yaml as the local gateway reads it."""

from local.template import Route, Template


def test_routes_and_functions_are_the_templates() -> None:
    """Each route leads to a function that the template declares."""
    template = Template()
    assert Route("PUT", "/records/{record_id}", "RecordsFunction") in template.routes()
    assert {route.function for route in template.routes()} <= template.functions().keys()


def test_a_function_has_what_the_template_gives_it() -> None:
    """Parameters stand for their defaults, and for what the caller says."""
    records = Template(PoolSize="0").functions()["RecordsFunction"]
    assert (records.name, records.handler) == ("slotwise-records", "handlers.records.handler")
    assert (records.timeout_s, records.memory_mb, records.concurrency) == (20, 512, 20)
    assert records.variables["DB_POOL_SIZE"] == "0"
    assert (records.code / "handlers" / "records.py").exists()


def test_a_variable_that_only_aws_can_know_is_not_set() -> None:
    """The secret's ARN has no default; an empty host is none."""
    assert Template().functions()["RecordsFunction"].variables.keys() & {"DB_SECRET_ID", "DB_HOST"} == set()
