"""What the processes of a session say to one another, and by which ways: frames, loops, connection files."""
