"""Requests made up from /openapi.json, right and wrong ones: none finds a mistake of the server."""

import pytest
from hypothesis import HealthCheck, given, settings


@pytest.mark.parametrize(
    ("wanted", "kinds"), [("positive", {"get", "post", "delete"}), ("negative", {"post"})]
)
def test_answers_are_as_described_and_no_request_is_a_mistake(visitor, wanted, kinds):
    schemathesis = pytest.importorskip("schemathesis", reason="needs the extra dev")
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    described = schemathesis.openapi.from_url(f"{visitor.server.url}openapi.json")
    operations = [found.ok() for found in described.get_all_operations()]
    assert kinds <= {operation.method for operation in operations}
    checks = [not_a_server_error, response_schema_conformance]
    checks += [content_type_conformance, status_code_conformance]
    lenient = list(HealthCheck)

    def ask(case) -> None:
        answer = case.call(timeout=60)
        case.validate_response(answer, checks=checks)

    mode = schemathesis.GenerationMode(wanted)
    for operation in operations:
        if operation.method not in kinds:
            continue
        cases = operation.as_strategy(generation_mode=mode)
        settings(max_examples=15, deadline=None, suppress_health_check=lenient)(given(cases)(ask))()
