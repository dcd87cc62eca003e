from infra.errors import CorruptFile
from pipelines.jobs.job_store import JobStore
from tests.integration.workbench.test_http_interface import begin, finish


async def test_what_a_job_has_to_say_is_told_until_it_is_read(running):
    with running.client() as client:
        assert client.get("/notifications").json() == {"unread": 0, "notifications": []}
        ready, broken = begin(client, b"one")["id"], begin(client, b"two")["id"]
        await finish(running, ready)
        await JobStore(running.services.database).failed(broken, "receive", CorruptFile("scan.nii.gz is cut off."))

        said = client.get("/notifications").json()
        assert said["unread"] == 2
        first, second = said["notifications"]
        assert (first["job"], second["job"]) == (broken, ready)  # newest first
        assert "scan.nii.gz is cut off." in first["text"] and second["link"] == f"/imaging?job={ready}"

        assert client.post("/notifications/read", json={"job": ready}).status_code == 204
        assert [(one["job"], one["read"]) for one in client.get("/notifications").json()["notifications"]] == [
            (broken, False),
            (ready, True),
        ]
        assert client.post("/notifications/read", json={"id": second["id"]}).status_code == 204
        assert client.get("/notifications").json()["unread"] == 1  # read already; the other one is not
        assert client.post("/notifications/read").status_code == 204
        assert client.get("/notifications").json()["unread"] == 0


async def test_they_are_for_their_owner_alone(running):
    with running.client() as client:
        job = begin(client)["id"]
        await finish(running, job)
        token = running.services.accounts.make_token(running.services.accounts.add_user("bob"), "test")
        with running.client(Authorization=f"Bearer {token}") as other:
            assert other.get("/notifications").json()["notifications"] == []
            assert other.post("/notifications/read", json={"job": job}).status_code == 204
        assert client.get("/notifications").json()["unread"] == 1


def test_nobody_signed_in_is_told_nothing(running):
    with running.stranger() as client:
        assert client.get("/notifications").status_code == 401
