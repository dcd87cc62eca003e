import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from infra.errors import InvalidInput, TooLarge
from workbench.api.multipart import MultipartForm

TYPE = "multipart/form-data; boundary=frontier"


def part(name: str, value: bytes, filename: str | None = None) -> bytes:
    extra = f'; filename="{filename}"' if filename is not None else ""
    return f'--frontier\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + value + b"\r\n"


async def pieces(body: bytes, size: int):
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def read(body: bytes, size: int = 7, content_type: str = TYPE):
    form = MultipartForm(pieces(body, size), content_type)
    content = b""
    if await form.find_file():
        async for piece in form.file_pieces():
            content += piece
    await form.finish()
    return form, content


async def test_fields_before_and_after_the_file():
    body = part("a", b"1") + part("file", b"bytes\r\n--front", "scan.nii.gz") + part("b", "zwei ä".encode()) + b"--frontier--\r\n"
    form, content = await read(body)
    assert form.fields == {"a": "1", "b": "zwei ä"}
    assert form.filename == "scan.nii.gz" and content == b"bytes\r\n--front"


async def test_a_form_without_a_file():
    form, content = await read(part("a", b"1") + b"--frontier--\r\n")
    assert form.filename is None and content == b"" and form.fields == {"a": "1"}


@hypothesis_settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=3000), size=st.integers(1, 997))
async def test_any_bytes_come_through_however_they_are_cut(content, size):
    if b"\r\n--frontier" in content:
        return
    _, got = await read(part("file", content, "x") + b"--frontier--\r\n", size)
    assert got == content


@pytest.mark.parametrize("cut", [10, 60, 80, 95])
async def test_a_form_that_is_cut_off_is_refused(cut):
    body = part("file", b"0123456789", "x") + b"--frontier--\r\n"
    with pytest.raises(InvalidInput, match="cut off"):
        await read(body[:cut])


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data", "", "multipart/mixed; boundary=x"])
async def test_what_is_no_form_is_refused(content_type):
    with pytest.raises(InvalidInput, match="multipart"):
        await read(b"", content_type=content_type)


async def test_garbage_is_refused():
    with pytest.raises(InvalidInput, match="broken"):
        await read(b"this is no form at all")


async def test_two_files_are_refused():
    with pytest.raises(InvalidInput, match="one file"):
        await read(part("a", b"1", "a") + part("b", b"2", "b") + b"--frontier--\r\n")


async def test_large_fields_are_refused():
    with pytest.raises(TooLarge):
        await read(part("a", b"x" * 70_000) + b"--frontier--\r\n", 4096)


async def test_the_file_is_never_held_whole():
    """What waits between the body and the reader is one piece of the body, however long the file is."""

    async def body():
        yield b'--frontier\r\nContent-Disposition: form-data; name="file"; filename="big"\r\n\r\n'
        for _ in range(200):
            yield b"x" * 65536
        yield b"\r\n--frontier--\r\n"

    form = MultipartForm(body(), TYPE)
    assert await form.find_file()
    total, most = 0, 0
    async for piece in form.file_pieces():
        total += len(piece)
        most = max(most, sum(map(len, form._pieces)))
    assert total == 200 * 65536 and most <= 65536
