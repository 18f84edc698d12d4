"""Backups: everything that was accepted, in one file with checksums."""

from services.backup.members import Manifest as Manifest
from services.backup.members import verified as verified
from services.backup.packing import backup as backup
from services.backup.unpacking import restore as restore
