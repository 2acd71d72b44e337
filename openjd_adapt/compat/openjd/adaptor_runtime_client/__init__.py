"""The reference's names for the application's end; also imported as ``adaptor_runtime_client``, without ``openjd``."""

from ._toolkit import toolkit

Action = toolkit.Action
ClientInterface = toolkit.ClientInterface
HTTPClientInterface = toolkit.ClientInterface
PathMappingRule = toolkit.PathMappingRule

__all__ = ["Action", "ClientInterface", "HTTPClientInterface", "PathMappingRule"]
