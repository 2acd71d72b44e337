"""A log record is made only where somebody but the console sees it; all else is as the standard library does it.

Each of these is done twice, with the standard library's own ``Logger._log`` and with what stands in for it.
"""

from __future__ import annotations

import functools
import logging
import logging.config
import sys
import warnings

import pytest

from openjd_adapt import output

pytestmark = [pytest.mark.core, pytest.mark.windows_core]

_TIMES = ("created", "msecs", "relativeCreated")


class Keeping(logging.Handler):
    """An author's handler: keeps all that a record has."""

    seen: list = []

    def emit(self, record):
        self.seen.append({name: str(value) for name, value in vars(record).items() if name not in _TIMES})


class OwnLogger(logging.Logger):
    def findCaller(self, *arguments, **named):
        frame = sys._getframe(2)  # of who has called _log
        return (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name, None)


class Louder(logging.Logger):
    def handle(self, record):
        record.msg = record.msg.upper()
        super().handle(record)


def plain(log):
    log.info("no arguments, 100%")
    log.info("%s and %d", "lazy", 2)
    log.warning("of %(name)s", {"name": "a mapping"})
    log.info("%s", {})
    log.info("two\nlines")
    log.info("%s\r%s", "画", "\udc80")
    log.log(25, ValueError("no text"))
    log.info("x" * 70_000)
    log.debug("not enabled")


def custom_level(log):
    logging.addLevelName(35, "NOTICE")
    log.log(35, "as its name is")
    log.log(36, "without one")


def bad_format(log):
    log.info("%d of %s", "one")


def handler(log):
    log.addHandler(Keeping())
    log.info("a %s", "record", extra={"more": 1})


def handler_above(log):
    log.parent.addHandler(Keeping())
    log.info("seen")


def handler_of_root(log):
    logging.getLogger().addHandler(Keeping())
    log.warning("seen")
    functools.partial(log.warning, "seen", stacklevel=2)() if sys.version_info >= (3, 8) else None


def filter_of_the_logger(log):
    log.addFilter(lambda record: Keeping.seen.append((record.lineno, record.funcName)) or "no" not in record.msg)
    log.info("yes")
    log.info("no")


def filter_of_the_console(log):
    logging.getLogger().handlers[0].addFilter(lambda record: record.module == __name__.rpartition(".")[2])
    log.info("from this module")


def formatter(log):
    logging.getLogger().handlers[0].setFormatter(logging.Formatter("%(filename)s:%(lineno)d %(message)s"))
    log.info("where")


def level_of_the_console(log):
    logging.getLogger().handlers[0].setLevel("ERROR")
    log.warning("below")
    log.error("at it")


def extra(log):
    log.info("a line", extra={"passed_on": None})  # which the console does not show
    log.info("a line", extra={"other": 1})
    with pytest.raises(KeyError):
        log.info("a line", extra={"msg": 1})


def exception(log):
    try:
        raise ValueError("raised")
    except ValueError as error:
        log.exception("caught")
        log.error("told", exc_info=error)
    log.error("none", exc_info=True)


def stack_info(log):
    def below():
        log.info("told", stack_info=True)
        if sys.version_info >= (3, 8):
            log.info("told", stack_info=True, stacklevel=2)

    below()


def adapter(log):
    logging.LoggerAdapter(log, {"job": 1}).info("adapted")
    log.addHandler(Keeping())
    logging.LoggerAdapter(log, {"job": 1}).info("adapted")


def factory(log):
    before = logging.getLogRecordFactory()

    def make(*arguments, **named):
        record = before(*arguments, **named)
        record.msg = "%s:%d %s" % (record.filename, record.lineno, record.msg)
        return record

    logging.setLogRecordFactory(make)
    log.info("made")


def class_of_loggers(log):
    own = OwnLogger(log.name)
    own.parent = log.parent
    own.addHandler(Keeping())
    own.info("by a class that counts frames")
    louder = Louder(log.name)
    louder.parent = log.parent
    louder.info("by one that has a step of its own")


def step_of_a_package(log):
    before = logging.Logger.callHandlers

    def call(self, record):
        Keeping.seen.append((record.getMessage(), record.lineno))
        before(self, record)

    logging.Logger.callHandlers = call
    log.info("seen on the way")


def step_of_one_logger(log):
    log.handle = lambda record: Keeping.seen.append(record.lineno)
    log.info("handled")


def disabled(log):
    log.disabled = True
    log.error("not shown")


def below_what_is_disabled(log):
    logging.disable(logging.ERROR)
    log.error("not shown")


def no_propagation(log):
    log.propagate = False
    log.error("shown by nobody but the last resort")


def without_a_parent(log):
    logging.Logger("alone").error("as above")


def captured_warning(log):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("careful", stacklevel=1)
        logging.captureWarnings(False)


def dict_config(log):
    settings = {"format": "%(name)s %(levelname)s %(lineno)d %(message)s"}
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"own": settings},
            "handlers": {"own": {"class": "logging.StreamHandler", "formatter": "own", "stream": "ext://sys.stdout"}},
            "root": {"handlers": ["own"], "level": "INFO"},
        }
    )
    log.info("configured")


def raises_in_its_text(log):
    class Text:
        def __str__(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        log.info(Text())


SPARED = [plain, custom_level, bad_format, level_of_the_console, extra, exception, stack_info, raises_in_its_text]
SEEN = [handler, handler_above, handler_of_root, filter_of_the_logger, filter_of_the_console, formatter, adapter]
SEEN += [factory, step_of_a_package, step_of_one_logger, disabled, no_propagation, dict_config]
ELSEWHERE = [class_of_loggers, below_what_is_disabled, without_a_parent, captured_warning]


def outcome(act, capsys, shortcut):
    """All that ``act`` has led to, and whether the logger's next record would be spared."""
    with pytest.MonkeyPatch.context() as patch:
        root, seen = logging.getLogger(), []
        patch.setattr(root, "handlers", [output.ConsoleHandler()])
        patch.setattr(root, "level", logging.INFO)
        patch.setattr(root.manager, "loggerDict", {})
        patch.setattr(root.manager, "disable", 0)
        patch.setattr(logging, "_logRecordFactory", logging.LogRecord)
        patch.setattr(logging.Logger, "_log", logging.Logger._log)
        patch.setattr(logging.Logger, "callHandlers", logging.Logger.callHandlers)
        patch.setattr(Keeping, "seen", seen)
        if shortcut:
            output.spare_records()
        logging.getLogger("above")
        log = logging.getLogger("above.this")
        root._cache.clear()
        act(log)
        is_spared = isinstance(log._log, functools.partial)
    root._cache.clear()
    out, err = capsys.readouterr()
    return (out, [line for line in err.splitlines() if not line.startswith(" ")], seen), is_spared  # without frames


@pytest.mark.parametrize("act", SPARED + SEEN + ELSEWHERE, ids=lambda act: act.__name__)
def test_with_and_without_records_the_same_is_shown_and_seen(act, capsys):
    (expected, _), (found, is_spared) = [outcome(act, capsys, shortcut) for shortcut in (False, True)]
    assert found == expected
    assert any(found) or act in (disabled, below_what_is_disabled, raises_in_its_text)
    if act not in ELSEWHERE:
        assert is_spared == (act in SPARED)


def test_what_another_package_has_put_in_place_before_stays(monkeypatch):
    for name in ("_log", "handle"):
        with monkeypatch.context() as patch:
            own = functools.wraps(getattr(logging.Logger, name))(lambda *arguments, **named: None)
            patch.setattr(logging.Logger, name, own)
            before = logging.Logger.__dict__["_log"]
            output.spare_records()
            assert logging.Logger.__dict__["_log"] is before
