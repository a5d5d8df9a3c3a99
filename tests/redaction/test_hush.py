"""What a library logs while it fetches a secret goes nowhere; everything else is logged as ever."""

from __future__ import annotations

import logging
import threading

import pytest

from safetwilio.backends.deadline import Deadline, run
from safetwilio.redaction.hush import hushed
from support import key_secret

logger = logging.getLogger("vendor.parsers")


@pytest.fixture
def everything(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


def test_debug_and_info_go_nowhere(everything: pytest.LogCaptureFixture) -> None:
    secret = key_secret()
    with hushed():
        logger.debug("Response body: %s", secret, extra={"httpResponse": secret})
        logging.getLogger(f"vendor.{id(everything)}").info(secret)
        logger.warning("retrying")
    logger.debug("after")
    assert [record.getMessage() for record in everything.records] == ["retrying", "after"]


def test_other_threads_log_as_ever(everything: pytest.LogCaptureFixture) -> None:
    with hushed():
        thread = threading.Thread(target=logger.debug, args=("from another thread",))
        thread.start()
        thread.join()
    assert [record.getMessage() for record in everything.records] == ["from another thread"]


def test_blocks_nest_and_an_error_ends_them(everything: pytest.LogCaptureFixture) -> None:
    with hushed():
        with pytest.raises(OSError, match="x"), hushed():
            raise OSError("x")
        logger.debug("still hidden")
    logger.debug("shown")
    assert [record.getMessage() for record in everything.records] == ["shown"]


def test_nothing_is_left_in_the_logging_module() -> None:
    before = logging.Logger.handle
    with hushed():
        assert logging.Logger.handle is not before
    assert logging.Logger.handle is before


def test_many_threads_at_once(everything: pytest.LogCaptureFixture) -> None:
    before, start = logging.Logger.handle, threading.Barrier(8)

    def fetch() -> None:
        start.wait()
        for _ in range(200):
            with hushed():
                logger.debug("hidden")

    threads = [threading.Thread(target=fetch) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert everything.records == []
    assert logging.Logger.handle is before


def test_a_call_to_a_backend_is_hushed(everything: pytest.LogCaptureFixture) -> None:
    answer, error = run(Deadline(5), lambda: logger.debug("the payload"))
    assert (answer, error) == (None, None)
    assert everything.records == []
