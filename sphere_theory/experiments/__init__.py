"""One measurement outside of streams a file, each a task with rows."""
