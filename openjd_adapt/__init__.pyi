"""The public names, for type checkers and editors: ``__init__.py`` loads each when it is first used."""

from .adaptor import (
    Adaptor as Adaptor,
    AdaptorConfigurationOptions as AdaptorConfigurationOptions,
    BaseAdaptor as BaseAdaptor,
    CommandAdaptor as CommandAdaptor,
    ManagedProcess as ManagedProcess,
    SemanticVersion as SemanticVersion,
)
from .application import (
    Application as Application,
    ApplicationError as ApplicationError,
    ApplicationExited as ApplicationExited,
)
from .application_adaptor import ApplicationAdaptor as ApplicationAdaptor
from .client import (
    Action as Action,
    Client as Client,
    ClientInterface as ClientInterface,
)
from .config import (
    AdaptorConfiguration as AdaptorConfiguration,
    Configuration as Configuration,
    ConfigurationManager as ConfigurationManager,
    RuntimeConfiguration as RuntimeConfiguration,
)
from .entry_point import EntryPoint as EntryPoint
from .errors import (
    AdaptError as AdaptError,
    Canceled as Canceled,
    InputError as InputError,
    ProcessFailed as ProcessFailed,
    ProgramNotFound as ProgramNotFound,
    ProgramNotStarted as ProgramNotStarted,
    TimedOut as TimedOut,
)
from .lifecycle import (
    AdaptorRunner as AdaptorRunner,
    AdaptorState as AdaptorState,
)
from .lines import (
    RegexCallback as RegexCallback,
    RegexHandler as RegexHandler,
)
from .output import (
    ADAPTOR_OUTPUT as ADAPTOR_OUTPUT,
    STDERR as STDERR,
    STDOUT as STDOUT,
)
from .paths import PathMappingRule as PathMappingRule
from .process import (
    LoggingSubprocess as LoggingSubprocess,
    StreamLogger as StreamLogger,
)
from .ranges import IntRange as IntRange
from .schema import (
    AdaptorDataValidator as AdaptorDataValidator,
    AdaptorDataValidators as AdaptorDataValidators,
)
from .server import (
    ActionsQueue as ActionsQueue,
    AdaptorServer as AdaptorServer,
)
from .watch import (
    Done as Done,
    Fatal as Fatal,
    Ignore as Ignore,
    Progress as Progress,
    Status as Status,
    Warn as Warn,
    Watch as Watch,
)

__version__: str
#: The path of a file that an application's Python runs to become a client; it finds this package by itself.
client_script: str
