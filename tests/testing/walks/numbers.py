"""Through phone numbers: looked for, bought, changed, given back; applications and caller IDs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asking import Ask, pair_of, paths, token_of

from safetwilio.testing.resources import caller_ids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safetwilio.testing.exchange import EmulatedResponse

HOOK = "https://example.com/hook"


def walk(ask: Ask) -> Iterator[EmulatedResponse]:
    for way in (_numbers, _test_credentials, _applications, _caller_ids):
        yield from way(ask)


def _numbers(ask: Ask) -> Iterator[EmulatedResponse]:
    emulator = ask.emulator
    key, all_ = pair_of(emulator.main_key), _base(ask) + "/IncomingPhoneNumbers"
    for kind in ("Local", "Mobile", "TollFree"):
        for country in ("US", "GB", "XX"):
            path = f"{_base(ask)}/AvailablePhoneNumbers/{country}/{kind}.json"
            yield ask("GET", path, key, query=(("PageSize", "2"),))
    yield ask("POST", f"{all_}.json", key, PhoneNumber="+15551230002")
    yield (bought := ask("POST", f"{all_}.json", key, AreaCode="415", SmsUrl=HOOK))
    one = f"{all_}/{bought.json()['sid']}.json"
    for query in ((), (("PageSize", "1"),), (("PhoneNumber", "+1415*"), ("Origin", "twilio"))):
        yield ask("GET", f"{all_}.json", key, query=query)
    yield ask("GET", one, key)
    yield ask("POST", one, key, VoiceApplicationSid="AP" + 32 * "a", SmsUrl="")
    child = emulator.create_account(emulator.account)
    yield ask("POST", one, token_of(emulator.account), AccountSid=child.sid)
    yield ask("DELETE", one.replace(emulator.account.sid, child.sid), token_of(child))


def _test_credentials(ask: Ask) -> Iterator[EmulatedResponse]:
    test = ask.emulator.create_account(test=True)
    path = f"{paths(test)['account'][:-5]}/IncomingPhoneNumbers.json"
    for number in ("+15005550000", "+15005550001", "+15005550006", "+15551230002"):
        yield ask("POST", path, token_of(test), PhoneNumber=number)


def _applications(ask: Ask) -> Iterator[EmulatedResponse]:
    key, all_ = pair_of(ask.emulator.main_key), f"{_base(ask)}/Applications"
    yield ask("POST", f"{all_}.json", key)
    yield (made := ask("POST", f"{all_}.json", key, FriendlyName="ivr", VoiceUrl=HOOK))
    one = f"{all_}/{made.json()['sid']}.json"
    yield ask("GET", f"{all_}.json", key, query=(("FriendlyName", "ivr"),))
    yield ask("GET", one, key)
    yield ask("POST", one, key, VoiceMethod="GET", VoiceUrl="")
    yield ask("DELETE", one, key)


def _caller_ids(ask: Ask) -> Iterator[EmulatedResponse]:
    emulator = ask.emulator
    key, all_ = pair_of(emulator.main_key), f"{_base(ask)}/OutgoingCallerIds"
    made = caller_ids.add(emulator.account, "+15551230003", created=emulator.now())
    one = f"{all_}/{made.sid}.json"
    yield ask("GET", f"{all_}.json", key)
    yield ask("GET", one, key)
    yield ask("POST", one, key, FriendlyName="desk")
    yield ask("DELETE", one, key)


def _base(ask: Ask) -> str:
    return paths(ask.emulator.account)["account"][: -len(".json")]
