"""A package as published adaptors are: adaptor, client, schemas. It runs on the reference, too."""
