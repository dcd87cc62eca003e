import pytest

from infra.errors import InvalidInput, NotFound
from knowledge.requirements import read_requirements_file


def written(tmp_path, text: str):
    path = tmp_path / "requirements.csv"
    path.write_text(text)
    return path


def test_csv_with_all_columns(tmp_path):
    policy = read_requirements_file(
        written(
            tmp_path, 'id,text,severity,topic,modality\nR1,"Keep records, always.",high,Records,obligation\nR2,Staff may leave early.,,,\n'
        )
    )
    first, second = policy.requirements
    assert (first.id, first.text, first.severity, first.topic, first.modality) == (
        "R1",
        "Keep records, always.",
        "high",
        "Records",
        "obligation",
    )
    assert (second.modality, second.severity) == ("permission", "medium")  # from its words
    assert policy.name == "requirements.csv"


def test_one_a_line(tmp_path):
    policy = read_requirements_file(written(tmp_path, "\nStaff must not smoke.\nDoors must be locked.\n"))
    assert [(one.id, one.modality) for one in policy.requirements] == [("1", "prohibition"), ("2", "obligation")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no requirements"),
        ("id,text\n", "has no requirements"),
        ("text\nStaff must smile.\n", "no column 'id'"),
        ("id,text,colour\n1,Staff must smile.,red\n", "column 'colour'"),
        ("id,text\n1,Staff must smile.\n1,Staff must wave.\n", "have the id '1'"),
        ("id,text,severity\n1,Staff must smile.,huge\n", "Line 2"),
        ("id,text\n1,Staff must smile, and wave.\n", "more cells than columns"),
        ("id,text\n1,Staff must smile.\n2,\n", "Line 3"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, said):
    with pytest.raises(InvalidInput) as refused:
        read_requirements_file(written(tmp_path, text))
    assert said in refused.value.message


def test_no_file(tmp_path):
    with pytest.raises(NotFound):
        read_requirements_file(tmp_path / "nothing.csv")
