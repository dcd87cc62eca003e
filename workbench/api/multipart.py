"""A multipart form read as it arrives: fields are kept, the file is handed on in pieces and never held.

FastAPI's own ``UploadFile`` spools the whole body before the route begins; here the size limit is enforced, and
the bytes are on their way to the store, while they arrive.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from infra.errors import InvalidInput, TooLarge

MOST_IN_A_FIELD = 64 * 1024
MOST_FIELDS = 32


class MultipartForm:
    """One form with at most one file.

    Usage::

        form = MultipartForm(request.stream(), request.headers["content-type"])
        if await form.find_file():
            upload = await save_upload(..., form.filename, form.file_pieces())
        await form.finish()
        form.fields  # all of them, those after the file too

    Attributes:
        fields: name to value of the plain fields read so far.
        filename: the file's name as the sender gave it, once the file is found.

    Raises:
        InvalidInput: not a multipart form, broken, or cut off.
        TooLarge: a plain field of more than 64 KiB.
    """

    def __init__(self, body: AsyncIterator[bytes], content_type: str) -> None:
        media_type, options = parse_options_header(content_type)
        if media_type != b"multipart/form-data" or not options.get(b"boundary"):
            raise InvalidInput("Send the file as multipart/form-data (with a boundary), or its bytes alone by PUT.")
        self.fields: dict[str, str] = {}
        self.filename: str | None = None
        self._body = body
        self._pieces: deque[bytes] = deque()
        self._part_name = ""
        self._part_is_file = False
        self._value = bytearray()
        self._header = bytearray()
        self._header_value = bytearray()
        self._headers: dict[str, bytes] = {}
        self._file_ended = False
        self._ended = False
        self._parser = MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": self._part_begins,
                "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._header_value.extend(data[start:end]),
                "on_header_end": self._header_ends,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._data,
                "on_part_end": self._part_ends,
                "on_end": self._form_ends,
            },
        )

    async def find_file(self) -> bool:
        """Read on until the file begins; False where the form ends without one."""
        while self.filename is None and await self._feed():
            pass
        return self.filename is not None

    async def file_pieces(self) -> AsyncIterator[bytes]:
        """The file's bytes as they arrive."""
        while True:
            while self._pieces:
                yield self._pieces.popleft()
            if self._file_ended:
                return
            if not await self._feed():
                raise InvalidInput("The upload was cut off before its end. Send it again.")

    async def finish(self) -> None:
        """Read what follows the file. Raises InvalidInput where the form was cut off."""
        while not self._ended and await self._feed():
            self._pieces.clear()
        if not self._ended:
            raise InvalidInput("The form was cut off before its end. Send it again.")

    async def _feed(self) -> bool:
        try:
            chunk = await anext(self._body)
            self._parser.write(chunk)
        except StopAsyncIteration:
            return False
        except MultipartParseError as error:
            raise InvalidInput(f"The multipart form is broken: {error}.") from error
        return True

    # -- the parser's callbacks

    def _part_begins(self) -> None:
        self._headers = {}
        self._value = bytearray()

    def _header_ends(self) -> None:
        self._headers[self._header.decode("latin-1").lower()] = bytes(self._header_value)
        self._header.clear()
        self._header_value.clear()

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition"))
        self._part_name = options.get(b"name", b"").decode("utf-8", "replace")
        self._part_is_file = b"filename" in options
        if self._part_is_file:
            if self.filename is not None:
                raise InvalidInput("Send one file at a time (a series as one zip).")
            self.filename = options[b"filename"].decode("utf-8", "replace")
        elif len(self.fields) >= MOST_FIELDS:
            raise InvalidInput(f"A form may have at most {MOST_FIELDS} fields.")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._part_is_file:
            self._pieces.append(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > MOST_IN_A_FIELD:
            raise TooLarge(f"The field '{self._part_name[:40]}' is larger than {MOST_IN_A_FIELD // 1024} KiB.")

    def _part_ends(self) -> None:
        if self._part_is_file:
            self._file_ended = True
        else:
            self.fields[self._part_name] = self._value.decode("utf-8", "replace")

    def _form_ends(self) -> None:
        self._ended = True
