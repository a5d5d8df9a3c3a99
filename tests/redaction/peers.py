"""What one does against leaks without safetwilio; a column of ``leak_matrix.py`` each.

Every one gets the same regular expression: any SID, and the very secret that is sent, which nobody
could write down beforehand. Each is put where its documentation says, and there on every logger and
handler, also where a program would have to know of one: a listener's, and that of last resort.
"""

from __future__ import annotations

import logging
import re
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ways import Protection
from ways.logs import Json

if TYPE_CHECKING:
    import io

MESSAGE = "logging: message, arguments, child logger"
EXTRA = "logging: extra, as JSON"
TRACEBACK = "logging: traceback and stack, as JSON"
QUEUE = "logging: a queue and its listener"
MASK = "[TWILIO:masked]"


class Column(Protection):
    """A protection with a title, and the ways that it claims to cover, or None."""

    title = ""
    package = ""
    claims: frozenset[str] | None = None

    def __init__(self, sid: str, secret: str) -> None:
        """Protect against this SID and secret, and all other SIDs."""
        self.sid, self.secret = sid, secret
        self.pattern = rf"(?:AC|SK)[0-9a-f]{{32}}|{sid}|{secret}"

    @classmethod
    def head(cls) -> str:
        """Return what stands above the column."""
        return cls.title or f"{cls.package} {version(cls.package)}"


class Usual(Column):
    """A filter on every handler, and Sentry's own scrubber."""

    title = "filter and EventScrubber"

    def handler(self, handler: logging.Handler) -> None:
        """Put the filter on it."""
        pattern = re.compile(self.pattern)

        class Filter(logging.Filter):
            def filter(self, record: logging.LogRecord) -> bool:
                if isinstance(record.msg, str):
                    record.msg, record.args = pattern.sub(MASK, record.getMessage()), ()
                return True

        handler.addFilter(Filter())

    def sentry(self) -> dict[str, Any]:
        """Let Sentry scrub all it can."""
        from sentry_sdk.scrubber import EventScrubber

        return {"event_scrubber": EventScrubber(recursive=True)}


class LoggingRedactor(Column):
    """A filter on every handler; it says it masks messages, arguments and ``extra``."""

    package = "loggingredactor"
    claims = frozenset({MESSAGE, EXTRA, QUEUE})

    def handler(self, handler: logging.Handler) -> None:
        """Put its filter on it."""
        from loggingredactor import RedactingFilter

        handler.addFilter(RedactingFilter([re.compile(self.pattern)], mask=MASK))


class LogPrivacy(Column):
    """A filter on every logger and handler; it says it masks the complete record."""

    package = "logprivacy"
    claims = frozenset({MESSAGE, EXTRA, TRACEBACK, QUEUE})

    def _policy(self) -> Any:
        from logprivacy import CleanerPolicy, CustomRegexRule

        rule = CustomRegexRule(name="twilio", category="secret", pattern=self.pattern)
        return CleanerPolicy.default().add_rules(rule)

    def handler(self, handler: logging.Handler) -> None:
        """Put its filter on it."""
        from logprivacy import Cleaner, LogPrivacyFilter

        handler.addFilter(LogPrivacyFilter(cleaner=Cleaner(self._policy())))

    def logger(self, logger: logging.Logger) -> None:
        """Make it a safe logger, which also filters its handlers, for children."""
        from logprivacy import get_safe_logger

        get_safe_logger(logger.name, policy=self._policy())


class HushLog(Column):
    """A formatter around every handler's, a processor for structlog, and a sink for loguru."""

    package = "hushlog"
    claims = frozenset(
        {
            MESSAGE,
            EXTRA,
            TRACEBACK,
            QUEUE,
            "structlog: JSON, with local variables",
            "structlog: console",
            "structlog: through logging",
            "loguru: text, with local variables",
            "loguru: serialized, from a queue",
        }
    )

    def _config(self) -> Any:
        from hushlog import Config

        return Config(custom_patterns={"twilio": self.pattern})

    def handler(self, handler: logging.Handler) -> None:
        """Wrap its formatter; as only those of the root logger are wrapped, it becomes one."""
        import hushlog

        root = logging.getLogger()
        root.addHandler(handler)
        hushlog.patch(self._config())
        root.removeHandler(handler)
        hushlog.unpatch()  # so that it patches the next

    def structlog(self) -> list[Any]:
        """Return its processor."""
        from hushlog import structlog_processor

        return [structlog_processor(self._config())]

    def loguru(self, stream: io.StringIO) -> Any:
        """Return its sink."""
        from hushlog import loguru_sink

        return loguru_sink(stream.write, self._config())


class MaskerLogger(Column):
    """A formatter for every handler, with gitleaks' rules and one for the regular expression."""

    package = "maskerlogger"
    claims = frozenset({MESSAGE, TRACEBACK, QUEUE})

    def handler(self, handler: logging.Handler) -> None:
        """Give it its formatter, unless it has one of another library."""
        import maskerlogger

        formatter: type[logging.Formatter]
        if handler.formatter is None:
            formatter = maskerlogger.MaskerFormatter
        elif isinstance(handler.formatter, Json):
            formatter = maskerlogger.MaskerFormatterJson
        else:
            return
        rules = Path(maskerlogger.__file__).with_name("config") / "gitleaks.toml"
        keywords = ["ac", "sk", self.sid.lower(), self.secret.lower()]
        rule = f"[[rules]]\nid = 'own'\nregex = '''{self.pattern}'''\nkeywords = {keywords}\n"
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / "rules.toml"
            config.write_text(f"{rules.read_text('utf-8')}\n{rule}", "utf-8")
            handler.setFormatter(formatter("%(message)s", str(config)))


COLUMNS: dict[str, type[Column]] = {
    "usual": Usual,
    **{each.package: each for each in (LoggingRedactor, LogPrivacy, HushLog, MaskerLogger)},
}
