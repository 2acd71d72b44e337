"""What an adaptor derives from, and what it checks its data by."""

from .._toolkit import toolkit
from ._validator import AdaptorDataValidator, AdaptorDataValidators

Adaptor = toolkit.Adaptor
AdaptorConfigurationOptions = toolkit.AdaptorConfigurationOptions
AdaptorRunner = toolkit.AdaptorRunner
AdaptorState = toolkit.AdaptorState
BaseAdaptor = toolkit.BaseAdaptor
CommandAdaptor = toolkit.CommandAdaptor
PathMappingRule = toolkit.PathMappingRule
SemanticVersion = toolkit.SemanticVersion

__all__ = [
    "Adaptor",
    "AdaptorConfigurationOptions",
    "AdaptorDataValidator",
    "AdaptorDataValidators",
    "AdaptorRunner",
    "AdaptorState",
    "BaseAdaptor",
    "CommandAdaptor",
    "PathMappingRule",
    "SemanticVersion",
]
