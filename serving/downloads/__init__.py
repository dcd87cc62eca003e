"""Model files that no installed package carries: fetched once at set-up, checked against the publisher's digest, kept.

python -m serving.downloads [NAME ...]      # fetch what is missing (make run does)
"""

from serving.downloads.catalog import DOWNLOADS, Download
from serving.downloads.fetch import fetch, folder_of, is_there

__all__ = ["DOWNLOADS", "Download", "fetch", "folder_of", "is_there"]
