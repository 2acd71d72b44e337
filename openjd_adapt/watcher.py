"""An adaptor's watches at work: what is called for an application's lines, and which of them are hidden."""

from __future__ import annotations

from .lines import RegexCallback, RegexHandler
from .watch import Ignore

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Sequence

    from .adaptor import BaseAdaptor
    from .watch import Watch


class Watcher(RegexHandler):
    """The watches of an adaptor, as what is called for each line."""

    def __init__(self, adaptor: BaseAdaptor, watches: Sequence[Watch]) -> None:
        self._hidden = [watch.regex for watch in watches if isinstance(watch, Ignore)]

        def callback(watch: Watch) -> Callable[[re.Match[str]], None]:
            return lambda match: watch.act(adaptor, match)

        acting = [watch for watch in watches if not isinstance(watch, Ignore)]
        super().__init__([RegexCallback([watch.regex], callback(watch)) for watch in acting])

    def hides(self, line: str) -> bool:
        """Whether the line is not to be passed on."""
        return any(regex.search(line) for regex in self._hidden)
