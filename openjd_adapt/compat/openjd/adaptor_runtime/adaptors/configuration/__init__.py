"""Layered configuration."""

from ..._toolkit import toolkit

AdaptorConfiguration = toolkit.AdaptorConfiguration
Configuration = toolkit.Configuration
ConfigurationManager = toolkit.ConfigurationManager
RuntimeConfiguration = toolkit.RuntimeConfiguration

__all__ = ["AdaptorConfiguration", "Configuration", "ConfigurationManager", "RuntimeConfiguration"]
