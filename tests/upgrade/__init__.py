"""Data folders of earlier versions, opened by this one."""
