"""A command adaptor as published ones are: it runs on the reference, too."""
