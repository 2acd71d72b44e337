"""Layered JSON configuration: top-level keys of a later layer override those of the ones before. Nothing is written."""

from __future__ import annotations

import os

from . import data, system
from .errors import Config, Generic, InputError, needed_by
from .plain_json import copied
from .transport.wire import OUTPUT_LIMIT_BYTES, OUTPUT_MEMORY_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Sequence, TypeVar

    from .adaptor import AdaptorConfigurationOptions
    from .schema import AdaptorDataValidator

    Self = TypeVar("Self", bound="Configuration")


#: The time bounds that an adaptor's class and its configuration may have, in seconds; None is for ever.
TIME_BOUNDS = ("start_timeout", "run_timeout", "stop_timeout", "no_output_timeout", "no_progress_timeout")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
#: The least that may be set as a bound of the output, in bytes.
LEAST_OUTPUT_BYTES = 64 * 1024


def validator(path: str) -> AdaptorDataValidator:
    """What checks data by the schema in a file. All that it needs is loaded only now: most adaptors have no schemas."""
    with needed_by("the schema %s" % path):
        from .schema import AdaptorDataValidator
    return AdaptorDataValidator.from_schema_file(path)


def check_time_bounds(where: str, bounds: dict[str, Any]) -> None:
    """Raise :class:`InputError` where one of ``bounds`` is not one; ``where`` they are set begins its line."""
    for name in TIME_BOUNDS:
        seconds = bounds.get(name)
        if seconds is not None and (type(seconds) not in (int, float) or not 0 < seconds < float("inf")):
            raise InputError("%s: %s is %r, not a number of seconds above 0" % (where, name, seconds))


class Configuration:
    """Keys and values from one layer or several, over the class's defaults; what is handed out is the reader's own."""

    #: The values of keys that no layer has.
    DEFAULTS: dict[str, Any] = {}

    def __init__(self, config: dict[str, Any]) -> None:
        self._config: dict[str, Any] = copied(config)

    @classmethod
    def from_file(cls: type[Self], config_path: str, schema_path: str | list[str] | None = None) -> Self:
        """The configuration that a JSON file holds.

        ``schema_path`` names the JSON Schema, or several, that it must fulfil. Raises :class:`InputError` with file,
        line and column, or with the place in the object.
        """
        where = "configuration %s" % config_path
        config = data.parse(where, data.read_text(where, config_path))
        if not isinstance(config, dict):
            raise InputError("%s: must be an object" % where)
        for path in [schema_path] if isinstance(schema_path, str) else schema_path or []:
            validator(path).validate(config, where)
        cls.check(where, config)
        return cls(config)

    @staticmethod
    def check(where: str, config: dict[str, Any]) -> None:
        """Raise :class:`InputError` if a value that the toolkit itself takes is not one that it can take."""
        level = config.get("log_level", "INFO")
        if level not in LOG_LEVELS:
            raise InputError("%s: log_level is %r; known are %s" % (where, level, ", ".join(LOG_LEVELS)))
        check_time_bounds(where, config)

    def override(self: Self, other: Self) -> Self:
        """This configuration with the keys of ``other`` put over it."""
        return type(self)({**self._config, **other._config})

    @property
    def config(self) -> dict[str, Any]:
        """All keys and values, defaults included."""
        return {**copied(self.DEFAULTS), **self.given}

    @property
    def given(self) -> dict[str, Any]:
        """The keys and values that layers have set."""
        return dict(copied(self._config))

    @property
    def log_level(self) -> str:
        """``DEBUG``, ``INFO``, ``WARNING``, ``ERROR`` or ``CRITICAL``; an adaptor's comes before the toolkit's own."""
        return str(self.config.get("log_level", "INFO"))


class RuntimeConfiguration(Configuration):
    """The toolkit's own configuration, for every adaptor on the host."""

    DEFAULTS = {
        "log_level": "INFO",
        "deactivate_telemetry": False,
        "output_memory_bytes": OUTPUT_MEMORY_BYTES,  #: of what nobody has read; more goes to files
        "output_limit_bytes": OUTPUT_LIMIT_BYTES,  #: in all; if more comes, the oldest goes
    }

    @staticmethod
    def check(where: str, config: dict[str, Any]) -> None:
        Configuration.check(where, config)
        for key in ("output_memory_bytes", "output_limit_bytes"):
            value = config.get(key, OUTPUT_LIMIT_BYTES)
            if not isinstance(value, int) or value < LEAST_OUTPUT_BYTES:
                raise InputError("%s: %s is %r; it must be %d or more" % (where, key, value, LEAST_OUTPUT_BYTES))

    @property
    def deactivate_telemetry(self) -> bool:
        """Read for the sake of existing files; there is no telemetry."""
        return bool(self.config["deactivate_telemetry"])


class AdaptorConfiguration(Configuration):
    """An adaptor's configuration; a subclass may add properties and ``DEFAULTS``."""

    DEFAULTS = {"log_level": "INFO"}


class ConfigurationManager(Generic[Config]):
    """The files of a configuration, from the weakest to the strongest: its own, the system's, the user's, more."""

    def __init__(
        self,
        *,
        config_cls: type[Config],
        default_config_path: str,
        system_config_path: str,
        user_config_rel_path: str,
        schema_path: str | list[str] | None = None,
        additional_config_paths: list[str] | None = None,
    ) -> None:
        self.config_cls = config_cls
        self.default_config_path = default_config_path
        self.system_config_path = system_config_path
        self.user_config_rel_path = user_config_rel_path
        self.schema_path = schema_path
        self.additional_config_paths = list(additional_config_paths or [])

    def _read(self, path: str) -> Config | None:
        if path.endswith(self.user_config_rel_path):
            is_there = os.path.exists(path)  # which may not be told of the home of somebody else, as sudo leaves it
        else:
            is_there = bool(path) and data.exists("configuration %s" % path, path)
        return self.config_cls.from_file(path, self.schema_path) if is_there else None

    def get_default_config(self) -> Config:
        """The adaptor's own file, or what is built in where it has none."""
        return self._read(self.default_config_path) or self.config_cls({})

    def get_system_config_path(self) -> str:
        """The file for all users of the host."""
        return self.system_config_path

    def get_system_config(self) -> Config | None:
        """What the system's file holds; None if there is none."""
        return self._read(self.system_config_path)

    def get_user_config_path(self, username: str | None = None) -> str:
        """The file of ``username``, or of this user; empty for a user without a home."""
        home = os.path.expanduser("~" + (username or ""))
        return "" if home.startswith("~") else os.path.join(home, self.user_config_rel_path)

    def get_user_config(self, username: str | None = None) -> Config | None:
        """What the user's file holds; None if there is none."""
        return self._read(self.get_user_config_path(username))

    def build_config(self, username: str | None = None) -> Config:
        """All layers, one over the other. Raises :class:`InputError` if one cannot be read."""
        return self.explain(username)[0]

    def explain(self, username: str | None = None) -> tuple[Config, dict[str, str]]:
        """What :meth:`build_config` gives, and for each key the file that set it, or ``built in``.

        A missing additional file is warned of.
        """
        config = self.config_cls({})
        origins = dict.fromkeys(self.config_cls.DEFAULTS, "built in")
        own = (self.default_config_path, self.system_config_path, self.get_user_config_path(username))
        for path in (*own, *self.additional_config_paths):
            layer = self._read(path)
            if layer is not None:
                config = config.override(layer)
                origins.update(dict.fromkeys(layer.given, path))
            elif path in self.additional_config_paths:
                import logging  # which is costly, and loaded already in the worker

                logger = logging.getLogger(__name__)
                # Where nobody has set up logging, as in a short command, its last resort leaves out the level.
                level = "" if logger.hasHandlers() else "WARNING: "
                logger.warning("%sThe configuration file %s does not exist; going on without it", level, path)
        return config, origins


def for_adaptor(
    name: str,
    module_file: str | None,
    options: AdaptorConfigurationOptions[Config],
    command_line_files: Sequence[str] = (),
    own: object = None,
) -> ConfigurationManager[Config]:
    """The layers for the adaptor class ``name``, whose module was loaded from ``module_file``.

    ``command_line_files`` are what ``--config`` names: the strongest layer. ``own`` is the adaptor's class of
    configuration where the options name none; what is no such class, as a type variable, counts as none.
    """
    folder = os.path.dirname(os.path.abspath(module_file)) if module_file else ""
    file_name = name + ".json"
    is_one = isinstance(own, type) and issubclass(own, Configuration)
    config_cls: Any = options.config_cls or (own if is_one else AdaptorConfiguration)
    named = os.environ.get(name.upper() + "_CONFIG_PATH")
    return ConfigurationManager(
        config_cls=config_cls,
        default_config_path=options.config_path or (folder and os.path.join(folder, file_name)),
        system_config_path=os.path.join(system.configuration_folder(), "openjd", "adaptors", name, file_name),
        user_config_rel_path=os.path.join(".openjd", "adaptors", name, file_name),
        schema_path=options.schema_path or _schema(name, folder),
        additional_config_paths=([named] if named else []) + list(command_line_files),
    )


def _schema(name: str, folder: str) -> str | None:
    """``NAME.schema.json`` beside the adaptor or in the folder that ``ADAPTOR_CONFIG_SCHEMA_PATH`` names."""
    for place in (os.environ.get("ADAPTOR_CONFIG_SCHEMA_PATH"), folder):
        path = os.path.join(place, name + ".schema.json") if place else ""
        if path and data.exists("configuration schema %s" % path, path):
            return path
    return None


def for_runtime() -> ConfigurationManager[RuntimeConfiguration]:
    """The layers of the toolkit's own configuration."""
    named = os.environ.get("RUNTIME_CONFIG_PATH")
    place = ("adaptors", "runtime", "configuration.json")
    return ConfigurationManager(
        config_cls=RuntimeConfiguration,
        default_config_path="",
        system_config_path=os.path.join(system.configuration_folder(), "openjd", *place),
        user_config_rel_path=os.path.join(".openjd", *place),
        additional_config_paths=[named] if named else [],
    )


def log_level(adaptor: Configuration, runtime: str) -> str:
    """The level that takes effect: the adaptor's if a file of its or its class sets one, else the runtime's."""
    own = type(adaptor).DEFAULTS.get("log_level")
    is_set = own != AdaptorConfiguration.DEFAULTS["log_level"]
    return str(adaptor.given.get("log_level") or (is_set and own) or runtime)
