"""The engines, a room each. A folder here that holds an `ENGINE` is one."""
