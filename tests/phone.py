"""The telephone of the scenes: a real one (pjsua2) in a child process.

```python
async with TestPhone("bob") as bob:
    await bob.start("bob@example.org", password, "127.0.0.1", 5060, lamp=True)
    call = await bob.wait_incoming()
    await bob.answer(call)
    await bob.wait_state("confirmed", call)
```
All of its verbs are those of `tools.phone.Telephone`.
"""

from __future__ import annotations

from tools.phone import PhoneError, Telephone

__all__ = ["PhoneError", "TestPhone"]


class TestPhone(Telephone):
    """See the module's head. Events: registration, incoming, call, media, digit, lamp, transfer, sent_on, replaced."""

    __test__ = False  # not a class of tests

    async def __aenter__(self) -> TestPhone:
        return self

    async def hold_and_resume(self, call: int) -> None:
        """Hold the call and take it back, each re-INVITE answered before the next thing is done."""
        for act, active in ((self.hold, False), (self.resume, True)):
            since = len(self.events)
            await act(call)
            await self.wait("media", where=lambda event, wanted=active: bool(event["active"]) is wanted, since=since)
