"""Pictures of a deleted file leave the cache; those of others stay."""

from pathlib import Path

from knowledge.reading.picture_cache import forget_pictures, picture_path

ONE, OTHER = "a" * 64, "b" * 64


def test_pictures_go_with_their_file(tmp_path: Path):
    paths = [picture_path(tmp_path, name) for name in (f"{ONE} 1 0 9", f"{ONE} 2 0 9", f"{OTHER} 1 0 9")]
    assert len(set(paths)) == 3
    paths[0].parent.mkdir(parents=True)
    for path in paths:
        path.write_bytes(b"png")
    forget_pictures(tmp_path, ["", ONE])
    assert [path.exists() for path in paths] == [False, False, True]


def test_forgetting_where_nothing_was_drawn(tmp_path: Path):
    forget_pictures(tmp_path, [ONE])
    assert not list(tmp_path.iterdir())
