"""The log says what happened and not what was said."""

from __future__ import annotations

import json
import logging

import pytest

from cityscribe.serve.log import OWN, _Lines, places


def test_messages_of_libraries_and_exceptions_stay_out() -> None:
    with pytest.raises(ValueError, match="secret") as raised:
        raise ValueError("a secret question")
    record = logging.LogRecord("uvicorn.error", logging.ERROR, "f.py", 1, "failed on %s", ("secret",), None)
    record.exc_info = (ValueError, raised.value, raised.value.__traceback__)
    line = json.loads(_Lines().format(record))
    assert places(raised.value)[0].startswith("test_log.py:")
    assert (line["logger"], line["error"]) == ("uvicorn.error", "ValueError")
    assert "secret" not in json.dumps(line)


def test_own_events_are_one_json_object_a_line() -> None:
    record = logging.makeLogRecord({"name": OWN, "levelno": logging.INFO, "levelname": "INFO", "msg": "request"})
    record.__dict__["fields"] = {"status": 200}
    line = _Lines().format(record)
    assert "\n" not in line
    assert {"event": "request", "status": 200, "level": "info"}.items() <= json.loads(line).items()
