"""Where an instrument's files are. What SMB needs is imported when an instrument has it."""

from jobs.sources.local import LocalFolder
from jobs.sources.opening import open_source
from jobs.sources.protocol import FileState, FoundFile, Refuse, Source
from storage.objects.smb_access import SmbAccess

__all__ = ["FileState", "FoundFile", "LocalFolder", "Refuse", "SmbAccess", "Source", "open_source"]
