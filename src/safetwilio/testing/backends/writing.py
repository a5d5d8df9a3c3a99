"""The rules for writing: what was kept is read back, and nobody's else is lost for it."""

from __future__ import annotations

import threading

from safetwilio.backends.interface import Absent, Found
from safetwilio.errors import ConfigurationError
from safetwilio.testing.backends.hooks import Hooks, Pair, new_pair, pair_of, require
from safetwilio.testing.backends.leaks import caught, leaks, overheard, told

_ACCOUNT = "marketing"
_FOREIGN = {"DATABASE_URL": "of another program"}
_CHANGED = "ST338"


class WritingRules(Hooks):
    """One rule in each test; each makes the state that it needs."""

    def test_what_is_written_is_read_back(self) -> None:
        """In a place where nothing was, and over what was there."""
        self.needs("writing")
        self.put(new_pair().document())
        self.remove()
        for pair in (new_pair(), new_pair()):
            self.writable().require_writable()
            place = self.saving(pair)()
            require(place and pair.secret not in place, "save() says where, in words")
            require(pair_of(self.found()) == pair, "load() returns what save() was given")

    def test_what_is_not_ours_stays(self) -> None:
        """Other programs read the same document."""
        self.needs("writing")
        self.put({**_FOREIGN, **new_pair().document()})
        self.saving(new_pair())()
        kept = self.contents().get("DATABASE_URL")
        require(kept == _FOREIGN["DATABASE_URL"], "save() leaves names that are not ours alone")

    def test_another_account_stays(self) -> None:
        """Writing the default account's key leaves a named account's where it is."""
        self.needs("writing")
        self.needs("accounts")
        mine, other = new_pair(), new_pair()
        self.put({**new_pair().document(), **other.document(_ACCOUNT)})
        self.saving(mine)()
        require(pair_of(self.found(_ACCOUNT)) == other, "save() leaves another account's key alone")
        require(pair_of(self.found()) == mine, "load() returns what save() was given")

    def test_the_version_that_was_seen_gives_way(self) -> None:
        """A key's, a document's without a key, and that of nothing (an empty text)."""
        self.needs("writing")
        self.needs("version")
        self.put(new_pair().document())
        for state in ("a key", "no key", "nothing"):
            if state == "no key":
                self.put(_FOREIGN)
            elif state == "nothing":
                self.remove()
            pair = new_pair()
            error = caught(self.saving(pair, replaces=self._version()))
            require(error is None, f"save() replaces the version that load() saw: {state}")
            require(pair_of(self.found()) == pair, "load() returns what save() was given")

    def test_another_version_stays(self) -> None:
        """ST338, and what is there is what it was."""
        self.needs("writing")
        self.needs("version")
        self.put(new_pair().document())
        outdated = self._version()
        there = new_pair()
        self.put(there.document())
        for replaces, what in ((outdated, "an older version"), ("", "nothing")):
            self.refused(self.saving(new_pair(), replaces=replaces), _CHANGED)
            require(pair_of(self.found()) == there, f"save() that expects {what} changes nothing")
        self.remove()
        self.refused(self.saving(new_pair(), replaces=outdated), _CHANGED)
        require(isinstance(self.answer(), Absent), "save() that expects a version makes none")

    def test_of_two_writers_exactly_one_wins(self) -> None:
        """The other is told (ST338), and the winner's key is what is there."""
        self.needs("writing")
        self.needs("version")
        for race in range(self.races):
            self.put(new_pair().document()) if race % 2 else self.remove()
            pairs = (new_pair(), new_pair())
            errors = self._race(pairs, self._version())
            lost = [error for error in errors if error is not None]
            require(len(lost) == 1, f"of two writers one wins; {2 - len(lost)} did")
            code = lost[0].code if isinstance(lost[0], ConfigurationError) else lost[0]
            require(code == _CHANGED, f"the other one is told {_CHANGED}, not {code!r}")
            winner = pairs[errors.index(None)]
            require(pair_of(self.found()) == winner, "the winner's key is what is there")

    def test_what_cannot_be_written_says_so_before(self) -> None:
        """Before a key is made, that is: ``require_writable()`` raises."""
        self.needs("writing")
        self.refused(self.writable(self.unwritable()).require_writable)

    def test_a_write_shows_no_secret(self) -> None:
        """Neither the new one nor the old one, whether it succeeds or is refused."""
        self.needs("writing")
        old, new = new_pair(), new_pair()
        self.put(old.document())
        save = self.saving(new, replaces="" if "version" not in self.unsupported else None)
        with overheard() as lines:
            error = caught(save)
            caught(self.saving(new))
        shown = {"a log": "\n".join(lines), **(told(error) if error is not None else {})}
        where = [name for name, text in shown.items() if leaks(text, [old.secret, new.secret])]
        require(not where, f"writing shows no secret: it stands in {', '.join(where)}")

    def _version(self) -> str:
        answer = self.answer()
        found = answer.record.version if isinstance(answer, Found) else answer.version
        return found or ""

    def _race(self, pairs: tuple[Pair, Pair], replaces: str) -> list[BaseException | None]:
        """Return how each of two writers of *pairs* ended who start at the same moment."""
        errors: list[BaseException | None] = [None, None]
        saves = [self.saving(pair, replaces=replaces) for pair in pairs]
        start = threading.Barrier(2)

        def write(number: int) -> None:
            start.wait(self.patience)
            errors[number] = caught(saves[number])

        threads = [threading.Thread(target=write, args=(n,), daemon=True) for n in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(self.patience)
        require(not any(thread.is_alive() for thread in threads), "save() comes to an end")
        return errors
