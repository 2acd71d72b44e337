"""The processes between a command and an adaptor: how they are started, what each does, how all of them end."""
